// Where panels stand: from left to right and from top to bottom, on Grafana's grid of 24 columns.
local columns = 24;

// Panels of one row, from y on.
local flow(panels, y, id) = std.foldl(
  function(done, panel)
    local w = panel.size[0], h = panel.size[1];
    local breaks = done.x + w > columns;
    local x = if breaks then 0 else done.x;
    local top = if breaks then done.bottom else done.top;
    {
      x: x + w,
      top: top,
      bottom: std.max(done.bottom, top + h),
      id: done.id + 1,
      panels: done.panels + [panel { id: done.id, gridPos: { x: x, y: top, w: w, h: h } }],
    },
  panels,
  { x: 0, top: y, bottom: y, id: id, panels: [] },
);

{
  // A row of panels. Without a title it has no header.
  row(title, panels):: { title: title, panels: panels },

  // The panels of rows with their places and ids.
  panels(rows):: std.foldl(
    function(done, row)
      local header = if row.title == null then [] else [{
        type: 'row',
        id: done.id,
        title: row.title,
        collapsed: false,
        gridPos: { x: 0, y: done.y, w: columns, h: 1 },
        panels: [],
      }];
      local flown = flow(row.panels, done.y + std.length(header), done.id + std.length(header));
      { y: flown.bottom, id: flown.id, panels: done.panels + header + flown.panels },
    rows,
    { y: 0, id: 1, panels: [] },
  ).panels,
}
