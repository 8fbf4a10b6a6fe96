import type { DiscoveredNode, SourceName } from "./discovered-node.ts";

/** What a source says now. */
export type Report =
  | {
      readonly kind: "listing";
      /** All nodes that it lists, each time. */
      readonly nodes: readonly DiscoveredNode[];
      /** What it lists besides and can't be used, one line each. */
      readonly leftOut: readonly string[];
    }
  | {
      readonly kind: "outage";
      /** Why it can't be asked, or its answer not be used: one line. What it listed before still counts. */
      readonly reason: string;
    };

/** What every source is given. */
export interface SourceInit {
  /**
   * Called with the first listing, with each change and each outage; after an outage with a listing, changed or not.
   * Not called any more once the source's disposal began.
   */
  readonly onReport: (report: Report) => void;
}

/**
 * Where nodes are looked for. It asks until it is disposed of, whatever fails meanwhile; disposal ends what is under
 * way at once. What each must do is in `test/support/source-compliance.ts`.
 */
export interface Source extends AsyncDisposable {
  readonly name: SourceName;
  /** Begins to look. Returns at once; what it finds is reported. */
  start(): void;
}
