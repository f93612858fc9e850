"""Metric queries and formulas, parsed into the tree of query_tree.py. monitor_query.py has the queries of monitors.

expression := term (('+' | '-') term)*        term := factor (('*' | '/') factor)*
factor     := sign factor | number | '(' expression ')' modifiers | function '(' ... ')' modifiers | series | name
series     := [aggregator ':'] metric '{' filter '}' [groups] modifiers
groups     := 'by' '{' tags '}'; the tag * stands for every tag of the series
filter     := clauses joined by ',' or AND, then by OR; clause := ['NOT' | '!'] tag:value, tag IN (...), $variable
"""

from __future__ import annotations

import re

from .query_tree import (
    EVERY_TAG,
    AllOf,
    AnyOf,
    Call,
    Condition,
    Expression,
    Filter,
    Function,
    Group,
    Membership,
    Negative,
    Not,
    Number,
    Operation,
    QuerySyntaxError,
    Reference,
    Series,
    Variable,
    series,
)
from .scanner import NUMBER, WORD, Scanner

__all__ = ['parse_formula', 'parse_queries', 'parse_query', 'variables_in']


def parse_query(text: str) -> Expression:
    """Parse a metric query (`queries[].query`). Raises QuerySyntaxError."""
    return Parser(text).whole(Parser.expression)


def parse_queries(text: str) -> list[Expression]:
    """Parse the old form of a request (`q`): one or more queries, joined by commas. Raises QuerySyntaxError."""
    return Parser(text).whole(Parser.queries)


def parse_formula(text: str) -> Expression:
    """Parse a formula over query names. Raises QuerySyntaxError, also for a series, which belongs in a query."""
    expression = Parser(text).whole(Parser.expression)
    for one in series(expression):
        raise QuerySyntaxError('a formula names queries; a series belongs in a query of its own', one.column)
    return expression


def variables_in(value: str) -> list[str]:
    """Return the names of the variables whose values are parts of a tag's value, as in `web-$zone.value-*`."""
    return _IN_VALUE.findall(value)


AGGREGATORS = ('avg', 'sum', 'min', 'max', 'count', 'p50', 'p75', 'p90', 'p95', 'p99', 'stddev', 'histogram')
# Any percentile, such as p99.9, of a distribution.
_PERCENTILE = re.compile(r'p\d{1,2}(\.\d+)?')
_DOTTED = re.compile(r'[A-Za-z_][\w]*(\.\w+)*')
_STRING = re.compile(r"""'[^']*'|"[^"]*\"""")
_KEYWORD = re.compile(r'([A-Za-z_]\w*)\s*=(?!=)\s*')
# A condition on the values that a count includes: `count(v: v<=1):`.
_COUNTED = re.compile(r'count\(\s*v\s*:\s*v\s*(>=|<=|==|!=|>|<)\s*-?\d+(\.\d+)?\s*\)')
_TAG = re.compile(r'[\w./@-]+')
_EVERY_TAG = re.compile(re.escape(EVERY_TAG))
# End of a value: separators, brackets, space. A value may contain colons, slashes, stars and, not first, quotes.
_VALUE = re.compile(r'[^\s,(){}\'"][^\s,(){}]*')
# The name of a variable may contain dots, as that of a tag may.
_NAME = r'\$([A-Za-z_][\w-]*(?:\.(?!(?:value|key)\b)[\w-]+)*)'
_VARIABLE = re.compile(rf'{_NAME}(\.value|\.key)?(?![\w.-])')
_IN_VALUE = re.compile(rf'{_NAME}\.value')


class Parser(Scanner):
    """Recursive descent over one query or formula."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # Does the present filter have symbols (`,` and `!`), words (AND, OR, NOT, IN), and AND beside OR?
        self.symbols = self.words = self.unclear = False

    # Arithmetic.

    def queries(self) -> list[Expression]:
        found = [self.expression()]
        while self.take(','):
            found.append(self.expression())
        return found

    def expression(self) -> Expression:
        left = self.term()
        while operator := self.operator('+-'):
            left = Operation(operator, left, self.term())
        return left

    def term(self) -> Expression:
        left = self.factor()
        while operator := self.operator('*/'):
            left = Operation(operator, left, self.factor())
        return left

    def operator(self, operators: str) -> str:
        return next((one for one in operators if self.take(one)), '')

    def factor(self) -> Expression:
        with self.deeper():
            return self.operand()

    def operand(self) -> Expression:
        if self.take('-'):
            return Negative(self.factor())
        if self.take('+'):
            return self.factor()
        if self.take('('):
            inner = self.expression()
            self.need(')')
            return Group(inner, self.modifiers())
        if number := self.match(NUMBER):
            return Number(float(number[0]))
        return self.named()

    def named(self) -> Expression:
        """Read a series, a function call or the name of a query."""
        self.space()
        column = self.position
        if counted := self.match(_COUNTED):
            self.need(':')
            return self.series(counted[0], column)
        found = self.match(_DOTTED)
        if not found:
            raise self.error('expected a series, a function, a number or the name of a query')
        name = found[0]
        if self.looking_at(':'):
            if name not in AGGREGATORS and not _PERCENTILE.fullmatch(name):
                raise self.error(f'unknown aggregator; use one of {", ".join(AGGREGATORS)}', column)
            self.position += 1
            return self.series(name, column)
        if self.looking_at('{'):
            self.position = column
            return self.series('', column)
        if self.looking_at('('):
            if '.' in name:
                # `a.rollup(avg, 60)`: the name of a query with modifiers.
                self.position = column + name.index('.')
                return Group(Reference(name.partition('.')[0], column), self.modifiers())
            return Function(Call(name, *self.arguments(plain=False)), self.modifiers(), column)
        if '.' in name:
            raise self.error("expected a filter in braces after the metric's name")
        return Reference(name, column)

    def series(self, aggregator: str, column: int) -> Series:
        metric = self.match(_DOTTED)
        if not metric:
            raise self.error("expected a metric's name")
        self.need('{')
        self.symbols = self.words = self.unclear = False
        filter_ = self.filters()
        mixed, unclear = self.symbols and self.words, self.unclear
        self.need('}')
        return Series(aggregator, metric[0], filter_, self.groups(), self.modifiers(), column, mixed, unclear)

    def groups(self) -> tuple[str, ...]:
        if not self.word('BY'):
            return ()
        self.need('{')
        by = self.tags()
        self.need('}')
        return by

    def tags(self) -> tuple[str, ...]:
        found: list[str] = []
        while not found or self.take(','):
            tag = self.match(_TAG) or self.match(_VARIABLE) or self.match(_EVERY_TAG)
            if not tag:
                raise self.error('expected a tag')
            found.append(tag[0])
        return tuple(found)

    def modifiers(self) -> tuple[Call, ...]:
        found = []
        while self.take('.'):
            name = self.match(WORD)
            if not name:
                raise self.error('expected the name of a modifier')
            found.append(Call(name[0], *self.arguments(plain=True)))
        return tuple(found)

    def arguments(self, *, plain: bool) -> tuple[tuple[Expression | str, ...], tuple[tuple[str, float | str], ...]]:
        """Read the arguments in brackets. `plain`: bare words are words (`avg` in rollup), not names of queries."""
        self.need('(')
        arguments: list[Expression | str] = []
        keywords: list[tuple[str, float | str]] = []
        if self.take(')'):
            return (), ()
        while True:
            if keyword := self.match(_KEYWORD):
                keywords.append((keyword[1], self.literal()))
            elif keywords:
                raise self.error('expected name=value: positional arguments come first')
            else:
                arguments.append(self.argument(plain))
            if self.take(')'):
                return tuple(arguments), tuple(keywords)
            self.need(',')

    def argument(self, plain: bool) -> Expression | str:
        if string := self.match(_STRING):
            return string[0][1:-1]
        if self.take('{'):
            tags = self.tags()
            self.need('}')
            return ','.join(tags)
        if plain and (word := self.match(WORD)):
            return word[0]
        return self.expression()

    def literal(self) -> float | str:
        if string := self.match(_STRING):
            return string[0][1:-1]
        sign = -1 if self.take('-') else 1
        if number := self.match(NUMBER):
            return sign * float(number[0])
        if word := self.match(WORD):
            return word[0]
        raise self.error('expected a number or a quoted text')

    # Filters: OR binds weaker than AND; a comma is an AND.

    def symbol(self, token: str) -> bool:
        found = self.take(token)
        self.symbols = self.symbols or found
        return found

    def operator_word(self, *words: str) -> str:
        found = self.word(*words)
        self.words = self.words or bool(found)
        return found

    def filters(self) -> Filter:
        if self.looking_at('}'):
            return AllOf(())
        return self.alternatives()

    def alternatives(self) -> Filter:
        found = [self.together()]
        while self.operator_word('OR'):
            found.append(self.together())
        if len(found) == 1:
            return _all_of(found[0])
        self.unclear = self.unclear or any(len(clauses) > 1 for clauses in found)
        return AnyOf(tuple(_all_of(clauses) for clauses in found))

    def together(self) -> list[Filter]:
        found = [self.clause()]
        while self.symbol(',') or self.operator_word('AND'):
            found.append(self.clause())
        return found

    def clause(self) -> Filter:
        with self.deeper():
            return self.one_filter()

    def one_filter(self) -> Filter:
        if self.symbol('!') or self.operator_word('NOT'):
            return Not(self.clause())
        if self.take('('):
            inner = self.alternatives()
            self.need(')')
            return inner
        self.space()
        start = self.position
        if variable := self.match(_VARIABLE):
            if self.looking_at(':'):
                raise self.error('expected a comma: a variable brings its tag and its value; or tag:$name.value')
            return Variable(variable[1], variable[2] == '.value')
        if tag := self.match(_TAG):
            if self.take(':'):
                return self.of_tag(tag[0])
            if negated := self.operator_word('NOT', 'IN'):
                return self.membership(tag[0], negated=negated == 'NOT')
        self.position = start
        value = self.match(_VALUE)
        if not value:
            raise self.error('expected a filter such as tag:value, $variable or *')
        return AllOf(()) if value[0] == '*' else Condition('', value[0])

    def membership(self, tag: str, *, negated: bool) -> Filter:
        """Read the part after `tag IN`, or after `tag NOT`."""
        if negated and not self.word('IN'):
            raise self.error('expected IN after NOT')
        membership = _one_of(tag, self.values())
        return Not(membership) if negated else membership

    def of_tag(self, tag: str) -> Filter:
        """Read the part after `tag:`."""
        if self.take('('):
            values = [self.value()]
            while self.operator_word('OR') or self.take(','):
                values.append(self.value())
            self.need(')')
            return _one_of(tag, values)
        start = self.position
        if variable := self.match(_VARIABLE):
            if _VALUE.match(self.text, self.position) is None:
                return Variable(variable[1], variable[2] == '.value', tag)
            self.position = start
        if any(self.looking_at(end) for end in (',', '}', ')')):
            # The tag without a value, which series can have.
            return Condition(tag, '')
        return Condition(tag, self.value())

    def values(self) -> list[str]:
        self.need('(')
        found = [self.value()]
        while self.take(','):
            found.append(self.value())
        self.need(')')
        return found

    def value(self) -> str:
        if string := self.match(_STRING):
            return string[0][1:-1]
        value = self.match(_VALUE)
        if not value:
            raise self.error('expected a value')
        return value[0]


def _all_of(clauses: list[Filter]) -> Filter:
    found = [one for one in clauses if one != AllOf(())]
    return found[0] if len(found) == 1 else AllOf(tuple(found))


def _one_of(tag: str, values: list[str]) -> Filter:
    """Return the filter of a tag with one of these values; some may be variables, as in `tag IN ($name.value, a)`."""
    found = [_VARIABLE.fullmatch(value) for value in values]
    texts = tuple(value for value, variable in zip(values, found, strict=True) if not variable)
    alternatives: list[Filter] = [Variable(one[1], one[2] == '.value', tag) for one in found if one]
    if texts:
        alternatives.append(Membership(tag, texts))
    return alternatives[0] if len(alternatives) == 1 else AnyOf(tuple(alternatives))
