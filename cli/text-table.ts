/** Colours a cell that has its final width; `row` 0 is the heading. */
export type PaintCell = (text: string, row: number, column: number) => string;

/**
 * Aligned columns, two spaces apart, nothing trailing. The first row is the heading; cells are plain text, coloured by
 * `paint` after their widths are known.
 */
export function textTable(
  rows: readonly (readonly string[])[],
  indent = "",
  paint: PaintCell = (text) => text,
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row, y) => {
    // Empty cells at the end are left out before anything is coloured: nothing trails.
    const length = row.findLastIndex((cell) => cell !== "") + 1;
    const cells = row.slice(0, length).map((cell, x) => {
      const padding = x === length - 1 ? "" : " ".repeat((widths[x] ?? 0) - cell.length);
      return paint(cell, y, x) + padding;
    });
    return (indent + cells.join("  ")).trimEnd();
  });
}
