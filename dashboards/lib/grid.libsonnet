// Places widgets: rows become coordinates, and heights follow.
//
// A cell is [columns, definition]; the cells of a row fill the width of their group.
local WIDTH = 12;

local widthOf(cells) = std.foldl(function(sum, cell) sum + cell[0], cells, 0);

local place(title, width, rows) =
  std.foldl(
    function(acc, row)
      local filled = widthOf(row.cells);
      assert filled == width : 'group "%s", row %d: %d of %d columns are filled' % [title, acc.number, filled, width];
      acc {
        number: acc.number + 1,
        y: acc.y + row.height,
        widgets: acc.widgets + std.foldl(
          function(line, cell) {
            x: line.x + cell[0],
            widgets: line.widgets + [{
              definition: cell[1],
              layout: { x: line.x, y: acc.y, width: cell[0], height: row.height },
            }],
          },
          row.cells,
          { x: 0, widgets: [] }
        ).widgets,
      },
    rows,
    { number: 1, y: 0, widgets: [] }
  );

{
  // A row of a height; cells: [[columns, definition], ...].
  row(height, cells): { height: height, cells: cells },

  // A row whose definitions share the twelve columns (or `width`) evenly.
  even(height, definitions, width=WIDTH):
    local columns = width / std.length(definitions);
    assert columns == std.floor(columns) : '%d widgets do not share %d columns evenly' % [std.length(definitions), width];
    { height: height, cells: [[columns, definition] for definition in definitions] },

  // A group with its rows; one column row of its height is the title.
  group(title, color, rows, width=WIDTH):
    local placed = place(title, width, rows);
    {
      width: width,
      height: placed.y + 1,
      definition: {
        title: title,
        type: 'group',
        layout_type: 'ordered',
        background_color: color,
        show_title: true,
        widgets: placed.widgets,
      },
    },

  // Groups side by side until twelve columns are full, then the next line; groups of a line get the same height.
  groups(groups):
    local lines = std.foldl(
      function(acc, group)
        local last = acc[std.length(acc) - 1];
        if std.foldl(function(sum, one) sum + one.width, last, 0) + group.width <= WIDTH
        then acc[:std.length(acc) - 1] + [last + [group]]
        else acc + [[group]],
      groups,
      [[]]
    );
    std.foldl(
      function(acc, line)
        local height = std.foldl(function(most, group) std.max(most, group.height), line, 0);
        local placed = std.foldl(
          function(row, group) {
            x: row.x + group.width,
            widgets: row.widgets + [{
              definition: group.definition,
              layout: { x: row.x, y: acc.y, width: group.width, height: height },
            }],
          },
          line,
          { x: 0, widgets: [] }
        );
        assert placed.x == WIDTH : 'the groups %s fill %d of %d columns' % [[g.definition.title for g in line], placed.x, WIDTH];
        { y: acc.y + height, widgets: acc.widgets + placed.widgets },
      lines,
      { y: 0, widgets: [] }
    ).widgets,
}
