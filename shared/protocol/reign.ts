/**
 * A reign: the time of one sequencer over the log. The epoch grows and never goes back; the random id tells apart two
 * reigns that came to the same epoch because a log was restored.
 */
export interface Reign {
  readonly epoch: number;
  readonly id: string;
}

/** Where an event stands in the log. Indexes grow by one over all reigns; JetStream's sequences are local and never compared across nodes. */
export interface LogPosition {
  readonly reign: Reign;
  readonly index: number;
}

export function formatReign(reign: Reign): string {
  return `${reign.epoch}-${reign.id}`;
}

export function parseReign(text: string): Reign | undefined {
  const match = /^(\d{1,15})-([0-9a-z]{1,16})$/.exec(text);
  return match ? { epoch: Number(match[1]), id: match[2] as string } : undefined;
}

export function sameReign(a: Reign, b: Reign): boolean {
  return a.epoch === b.epoch && a.id === b.id;
}

export function formatLogPosition(position: LogPosition): string {
  return `${formatReign(position.reign)}.${position.index}`;
}

export function parseLogPosition(text: string | undefined): LogPosition | undefined {
  if (text === undefined) return undefined;
  const dot = text.lastIndexOf(".");
  if (dot < 0) return undefined;
  const reign = parseReign(text.slice(0, dot));
  const index = Number(text.slice(dot + 1));
  if (!reign || !Number.isSafeInteger(index) || index < 1) return undefined;
  return { reign, index };
}
