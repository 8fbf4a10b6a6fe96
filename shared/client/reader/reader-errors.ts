/** The copy of this node is not filled as far as the checkpoint says. Wait for the node, or read where it was taken. */
export class ReaderAhead extends Error {
  override readonly name = "ReaderAhead";
}

/** What was to be read next is gone from this node: purged by retention, or trimmed and not copied. Nothing was skipped. */
export class EventsGone extends Error {
  override readonly name = "EventsGone";
}

/** The checkpoint is none, or of a newer build. */
export class CheckpointInvalid extends Error {
  override readonly name = "CheckpointInvalid";
}
