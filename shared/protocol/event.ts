/** A message as a stream stores it. */
export interface StoredMessage {
  /** The stream's own sequence: local, never compared across nodes. */
  readonly seq: number;
  /** When the stream stored it, µs since the epoch. */
  readonly timeUs: number;
  readonly subject: string;
  /** Header lines without the status line; "" when there are none. */
  readonly headerText: string;
  readonly body: Uint8Array;
}

/** An event on its way from an outbox to the log. */
export interface ShippedEvent {
  /** The outbox's sequence. */
  readonly seq: number;
  /** When the outbox stored it, µs since the epoch. */
  readonly timeUs: number;
  readonly subject: string;
  readonly id: string;
  /** Only what is carried on: no `Nats-*`, none of the log's own. */
  readonly headerText: string;
  readonly body: Uint8Array;
}

/** Roughly what an event holds in memory and on a disk, bytes. */
export function weightOf(event: { subject: string; headerText: string; body: Uint8Array }): number {
  return event.subject.length + event.headerText.length + event.body.byteLength + 128;
}
