/** At most `count` of the items, evenly spread, the last one among them. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  const picked: T[] = [];
  for (let i = 1; i <= count; i++) picked.push(items[Math.ceil((i * items.length) / count) - 1] as T);
  return picked;
}
