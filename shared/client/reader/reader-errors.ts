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

/** Somebody else reads under this durable name since: what is handled from here on is handled there, too. */
export class ReaderTaken extends Error {
  override readonly name = "ReaderTaken";
}

/** Another kind of reader has this durable name. */
export class ReaderDiffers extends Error {
  override readonly name = "ReaderDiffers";
}
