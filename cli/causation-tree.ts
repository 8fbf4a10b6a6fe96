/** Levels that are drawn. */
const DEEPEST = 16;

/** What a chain of causation is made of. */
export interface TracedEvent {
  readonly id: string;
  readonly correlationId: string;
  readonly causationId: string;
  readonly domain: string;
  readonly aggregate: string | undefined;
  readonly type: string;
  readonly origin: string;
  readonly index: number | undefined;
  /** When its origin stored it, µs since the epoch. */
  readonly appendedUs: number;
}

/** A line of the tree. */
export interface TreeLine {
  /** Undefined: a cause that was not found, `id` alone is known of it. */
  readonly event: TracedEvent | undefined;
  readonly id: string;
  readonly depth: number;
  /** For each of the nearest levels above, whether it goes on below this line; for the last one, whether this is not its last branch. */
  readonly branches: readonly boolean[];
  /** Between cause and effect, each by the clock of its own origin; undefined where nothing is the cause. */
  readonly msAfterCause: number | undefined;
  /** Its cause is one of its own effects: such a circle is cut here. */
  readonly circular: boolean;
}

/**
 * The events as a tree of causes and effects, from the top: oldest first among the effects of one cause. Every event is
 * in it once, whatever they say of each other. Pure.
 */
export function causationTree(events: readonly TracedEvent[]): TreeLine[] {
  const byId = new Map<string, TracedEvent>();
  const inOrder = events.toSorted((a, b) => a.appendedUs - b.appendedUs);
  for (const event of inOrder) if (!byId.has(event.id)) byId.set(event.id, event);
  const effects = new Map<string, TracedEvent[]>();
  const roots: TracedEvent[] = [];
  for (const event of inOrder) {
    if (event.causationId === event.id) roots.push(event);
    else {
      const siblings = effects.get(event.causationId);
      if (siblings) siblings.push(event);
      else effects.set(event.causationId, [event]);
    }
  }
  const lines: TreeLine[] = [];
  const seen = new Set<TracedEvent>();
  const walk = (first: TreeLine) => {
    // Not recursive: a chain may be longer than the call stack is deep.
    const waiting = [first];
    for (let line = waiting.pop(); line; line = waiting.pop()) {
      const { event, depth, branches } = line;
      if (event) {
        if (seen.has(event)) continue;
        seen.add(event);
      }
      lines.push(line);
      // Of several events with one id the first is the cause.
      if (event && byId.get(event.id) !== event) continue;
      const next = (effects.get(line.id) ?? []).filter((effect) => !seen.has(effect));
      for (const [at, effect] of next.entries().toArray().toReversed()) {
        waiting.push({
          event: effect,
          id: effect.id,
          depth: depth + 1,
          branches: [...branches, at < next.length - 1].slice(-DEEPEST),
          msAfterCause: event && (effect.appendedUs - event.appendedUs) / 1000,
          circular: false,
        });
      }
    }
  };
  const top = { depth: 0, branches: [], msAfterCause: undefined, circular: false };
  for (const event of roots) walk({ ...top, event, id: event.id });
  for (const id of effects.keys()) if (!byId.has(id)) walk({ ...top, event: undefined, id });
  // What is left causes itself, through others.
  for (const event of inOrder) if (!seen.has(event)) walk({ ...top, event, id: event.id, circular: true });
  return lines;
}

/** The lines that lead to an event: `│  ├─ `. Deeper ones begin with how many levels are left out. */
export function treePrefix({ depth, branches }: TreeLine): string {
  const left = depth - branches.length;
  const lines = branches.map((more, at) => {
    if (at < branches.length - 1) return more ? "│  " : "   ";
    return more ? "├─ " : "└─ ";
  });
  return (left > 0 ? `${left}… ` : "") + lines.join("");
}
