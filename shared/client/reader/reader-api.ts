// What of the readers is the package's.
export type { Batch, BatchLimits } from "./batches.ts";
export type { GroupOptions, GroupReaderOptions, PartitionClaim } from "./group-options.ts";
export type { GroupReader } from "./group-reader.ts";
export type { NamedReader, NamedReaderOptions } from "./named-reader.ts";
export type { CimEvent } from "./read-event.ts";
export {
  CheckpointInvalid,
  EventsGone,
  ReaderAhead,
  ReaderDiffers,
  ReaderTaken,
} from "./reader-errors.ts";
export type { SubscribeOptions } from "./subscribe-options.ts";
export type { ReaderLag, Subscription } from "./subscription.ts";
