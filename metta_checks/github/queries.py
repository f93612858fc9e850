"""The GraphQL documents, one operation each.

Field and argument names are GitHub's. Every selection stands on a line of its own, so that `without` can leave out what
an older GitHub Enterprise Server does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Sizes asked for, and the smaller ones to fall back to when GitHub finds a page too heavy.
PAGES = {
    'now': (50, 25, 12),
    'open_pull_requests': (50, 25, 12),
    'closed_pull_requests': (50, 25, 12),
    'commits': (100, 50, 25),
    'files': (25, 10, 5),
    'deployments': (100, 50, 25),
    'releases': (100, 50, 25),
    'issues': (100, 50, 25),
}
CLOSED_PAGE_WARM = 25
# Closed pull requests of a repository that shares a query with others, and the number of these repositories.
CLOSED_PAGE_SHARED = 8
CLOSED_REPOSITORIES = 14
# Reviews of a pull request that a list of pull requests shows; as many as GitHub allows.
REVIEWS_PAGE = 100
# Ids of one query for checks: as many as GitHub allows.
CHECKED_IDS = 100

_COMMIT = """
fragment commit on Commit {
  oid
  committedDate
  messageHeadline
  message
  additions
  deletions
  changedFilesIfAvailable
  parents(first: 1) {
    totalCount
  }
  authors(first: 50) {
    totalCount
    nodes {
      name
      email
      user {
        login
      }
    }
  }
}
"""
_OPEN_PULL_REQUEST = """
fragment openPullRequest on PullRequest {
  id
  number
  state
  createdAt
  updatedAt
  isDraft
  reviewDecision
  author {
    __typename
    login
  }
  ...reviewed
}
"""
_REVIEWED = """
fragment reviewed on PullRequest {
  reviews(first: 100) {
    totalCount
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      state
      submittedAt
      author {
        __typename
        login
      }
    }
  }
  timelineItems(last: 50, itemTypes: [READY_FOR_REVIEW_EVENT]) {
    pageInfo {
      hasPreviousPage
    }
    nodes {
      __typename
      ... on ReadyForReviewEvent {
        createdAt
      }
    }
  }
}
"""
_LIMIT = """
  rateLimit {
    cost
    limit
    remaining
    resetAt
  }
"""

_NOW = """
fragment now on Repository {
  nameWithOwner
  isArchived
  isDisabled
  diskUsage
  stargazerCount
  forkCount
  branches: refs(refPrefix: "refs/heads/", first: 1) {
    totalCount
  }
  openIssues: issues(states: [OPEN], first: 1) {
    totalCount
  }
  newestClosed: pullRequests(states: [MERGED, CLOSED], first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) {
    nodes {
      number
      updatedAt
    }
  }
  defaultBranchRef {
    name
    target {
      __typename
      ... on Commit {
        oid
        inWindow: history(since: $since, first: $commits) {
          totalCount
          nodes {
            ...commit
          }
        }
        newest: history(first: $checks) {
          nodes {
            oid
            statusCheckRollup {
              state
            }
          }
        }
      }
    }
  }
  mergeQueue {
    entries(first: 100) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        enqueuedAt
        state
      }
    }
    nextEntryEstimatedTimeToMerge
  }
  releases(first: 50, orderBy: {field: CREATED_AT, direction: DESC}) {
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      tagName
      isDraft
      isPrerelease
      publishedAt
      url
    }
  }
  openPullRequests: pullRequests(states: [OPEN], first: $page, orderBy: {field: CREATED_AT, direction: ASC}) {
    totalCount
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      ...openPullRequest
    }
  }
}
"""


def _of_repositories(operation: str, parameters: str, fragment: str, number: int) -> str:
    """Return an operation that selects a fragment of several repositories: `repository0`, `repository1` and so on.

    A single one is `repository`. The variables of each are its owner and its name.
    """
    places = [''] if number == 1 else list(map(str, range(number)))
    variables = ', '.join(f'$owner{place}: String!, $name{place}: String!' for place in places)
    selections = ''.join(
        f'  {f"repository{place}: " if place else ""}repository(\n'
        f'    owner: $owner{place}, name: $name{place}, followRenames: true\n'
        '  ) {\n'
        f'    ...{fragment}\n'
        '  }\n'
        for place in places
    )
    return f'query {operation}({variables}, {parameters}) {{\n{selections}{_LIMIT}}}\n'


def now(repositories: int = 1) -> str:
    """Return the first query of a refresh, for a number of repositories."""
    parameters = '$since: GitTimestamp!, $commits: Int!, $checks: Int!, $page: Int!'
    return _of_repositories('Now', parameters, 'now', repositories) + _NOW + _COMMIT + _OPEN_PULL_REQUEST + _REVIEWED


OPEN_PULL_REQUESTS = (
    """
query OpenPullRequests($owner: String!, $name: String!, $page: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    openPullRequests: pullRequests(
      states: [OPEN], first: $page, after: $after, orderBy: {field: CREATED_AT, direction: ASC}
    ) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        ...openPullRequest
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
    + _OPEN_PULL_REQUEST
    + _REVIEWED
)

_CHECKS = """
fragment checks on PullRequest {
  id
  head: commits(last: 1) {
    nodes {
      commit {
        oid
        statusCheckRollup {
          state
        }
      }
    }
  }
}
"""
_CHECKED = """
  checked: nodes(ids: $ids) {
    __typename
    ... on PullRequest {
      ...checks
    }
  }
"""

_CLOSED = """
fragment closed on Repository {
  closedPullRequests: pullRequests(
    states: [MERGED, CLOSED], first: $page, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}
  ) {
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      id
      number
      state
      createdAt
      updatedAt
      mergedAt
      closedAt
      isDraft
      baseRefName
      additions
      deletions
      changedFiles
      totalCommentsCount
      author {
        __typename
        login
      }
      ...checks
      first: commits(first: 1) {
        nodes {
          commit {
            authoredDate
          }
        }
      }
      labels(first: 100) {
        nodes {
          name
        }
      }
      ...reviewed
    }
  }
}
"""

# A page of the closed pull requests; and the checks of known ones, left out without any.
CLOSED_PULL_REQUESTS = (
    """
query ClosedPullRequests($owner: String!, $name: String!, $page: Int!, $after: String, $ids: [ID!]!) {
  repository(owner: $owner, name: $name) {
    ...closed
  }
"""
    + _CHECKED
    + _LIMIT
    + '}\n'
    + _CLOSED
    + _CHECKS
    + _REVIEWED
)


def first_closed(repositories: int) -> str:
    """Return the query for the first pages of the closed pull requests of several repositories."""
    parameters = '$page: Int!, $after: String'
    return _of_repositories('FirstClosed', parameters, 'closed', repositories) + _CLOSED + _CHECKS + _REVIEWED


CHECKS = '\nquery Checks($ids: [ID!]!) {' + _CHECKED + _LIMIT + '}\n' + _CHECKS

MORE_REVIEWS = (
    """
query MoreReviews($id: ID!, $after: String) {
  node(id: $id) {
    __typename
    ... on PullRequest {
      mergedAt
      author {
        __typename
        login
      }
      reviews(first: 100, after: $after) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          state
          submittedAt
          author {
            __typename
            login
          }
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

ISSUES = (
    """
query Issues($owner: String!, $name: String!, $since: DateTime!, $page: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    openIssues: issues(states: [OPEN], first: 1) {
      totalCount
    }
    issues(
      filterBy: {since: $since}, first: $page, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}
    ) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        state
        createdAt
        closedAt
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

COMMITS = (
    """
query Commits($owner: String!, $name: String!, $branch: String!, $since: GitTimestamp!, $page: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $branch) {
      target {
        __typename
        ... on Commit {
          inWindow: history(since: $since, first: $page, after: $after) {
            totalCount
            pageInfo {
              hasNextPage
              endCursor
            }
            nodes {
              ...commit
            }
          }
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
    + _COMMIT
)

BRANCH = (
    """
query Branch($owner: String!, $name: String!, $branch: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $branch) {
      name
    }
  }
"""
    + _LIMIT
    + '}\n'
)

FILES = (
    """
query Files($ids: [ID!]!) {
  nodes(ids: $ids) {
    __typename
    ... on PullRequest {
      number
      files(first: 100) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          path
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

MORE_FILES = (
    """
query MoreFiles($id: ID!, $after: String) {
  node(id: $id) {
    __typename
    ... on PullRequest {
      number
      files(first: 100, after: $after) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          path
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

REPOSITORIES = (
    """
query Repositories($login: String!, $after: String) {
  repositoryOwner(login: $login) {
    repositories(first: 100, after: $after, ownerAffiliations: [OWNER], orderBy: {field: NAME, direction: ASC}) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        id
        nameWithOwner
        isArchived
        isDisabled
        isFork
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

_DEPLOYMENT = """
fragment deployment on Deployment {
  id
  environment
  commitOid
  createdAt
  state
  statuses(first: 100) {
    nodes {
      state
      createdAt
    }
  }
}
"""
DEPLOYMENTS = (
    """
query Deployments($owner: String!, $name: String!, $page: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    deployments(first: $page, after: $after, orderBy: {field: CREATED_AT, direction: DESC}) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        ...deployment
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
    + _DEPLOYMENT
)

DEPLOYMENTS_BY_ID = (
    """
query DeploymentsById($ids: [ID!]!) {
  nodes(ids: $ids) {
    __typename
    ... on Deployment {
      ...deployment
    }
  }
"""
    + _LIMIT
    + '}\n'
    + _DEPLOYMENT
)

MERGE_QUEUE = (
    """
query MergeQueue($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    mergeQueue {
      entries(first: 100, after: $after) {
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          enqueuedAt
          state
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

RELEASES = (
    """
query Releases($owner: String!, $name: String!, $page: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    releases(first: $page, after: $after, orderBy: {field: CREATED_AT, direction: DESC}) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        id
        tagName
        isDraft
        isPrerelease
        publishedAt
        url
        tagCommit {
          oid
        }
      }
    }
  }
"""
    + _LIMIT
    + '}\n'
)

DOCUMENTS = {
    'now': now(),
    'open_pull_requests': OPEN_PULL_REQUESTS,
    'closed_pull_requests': CLOSED_PULL_REQUESTS,
    'first_closed': first_closed(2),
    'checks': CHECKS,
    'more_reviews': MORE_REVIEWS,
    'commits': COMMITS,
    'branch': BRANCH,
    'files': FILES,
    'more_files': MORE_FILES,
    'repositories': REPOSITORIES,
    'deployments': DEPLOYMENTS,
    'deployments_by_id': DEPLOYMENTS_BY_ID,
    'releases': RELEASES,
    'merge_queue': MERGE_QUEUE,
    'issues': ISSUES,
}


# Documents that ask for a number of repositories.
_OF_REPOSITORIES = {'now': now, 'first_closed': first_closed}


def document(name: str, repositories: int) -> str:
    """Return a document by its name, for a number of repositories if it can ask for several."""
    make = _OF_REPOSITORIES.get(name)
    return DOCUMENTS[name] if make is None else make(repositories)


# Parts of the first query that credentials may not be allowed to see, by their name in the answer. Some of them GitHub
# declares non-null, so that one refusal takes the whole repository along.
OPTIONAL = {
    'branches': 'refs',
    'openIssues': 'issues',
    'newestClosed': 'pullRequests',
    'openPullRequests': 'pullRequests',
    'mergeQueue': 'mergeQueue',
    'releases': 'releases',
}

_FIELD = re.compile(r'\s*(?:(?P<alias>\w+):\s*)?(?P<name>\w+)')


def without(document: str, fields: Iterable[str]) -> str:
    """The document with all selections of these fields or aliases left out, and what only they made use of."""
    unknown = frozenset(fields)
    if not unknown:
        return document
    kept = []
    depth = 0
    for line in document.splitlines():
        # Brackets inside one line cancel out; a selection ends where those it opened are closed.
        opened = sum(line.count(bracket) for bracket in '({') - sum(line.count(bracket) for bracket in ')}')
        if depth > 0:
            depth += opened
            continue
        match = _FIELD.match(line)
        if match and not unknown.isdisjoint(match.groups()):
            depth = opened
            continue
        kept.append(line)
    return _without_unused('\n'.join(kept) + '\n')


def _without_unused(document: str) -> str:
    """GitHub refuses documents with fragments and variables that nothing uses."""
    for name in re.findall(r'^fragment (\w+) ', document, re.MULTILINE):
        if f'...{name}\n' not in document:
            document = re.sub(rf'^fragment {name} .*?^}}\n', '', document, flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r'\$(\w+):', document):
        if not re.search(rf'\${name}\b(?!:)', document):
            document = re.sub(rf', \${name}: [\w!\[\]]+', '', document)
    return document
