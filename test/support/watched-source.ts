import { expect } from "vitest";
import type { Report, Source, SourceInit } from "../../shared/discovery/source.ts";
import { eventually } from "./eventually.ts";

export interface WatchedSource extends AsyncDisposable {
  readonly reports: readonly Report[];
  /** Waits until it lists these nodes and no others. */
  lists(nodes: readonly object[]): Promise<true>;
  isOut(reason: RegExp): Promise<true>;
}

/** A source that is started, and what it said. */
export function watchSource(
  open: (init: SourceInit) => Source,
  options: {
    /** Its nodes are expected in the order given; else by name. */
    readonly inOrder?: boolean;
    /** Before each look for an outage: who waits for a change is not told of anything else. */
    readonly wake?: () => void;
  } = {},
): WatchedSource {
  const reports: Report[] = [];
  const source = open({ onReport: (one) => void reports.push(one) });
  source.start();
  return {
    reports,
    lists: (nodes) =>
      eventually(() => {
        expect(reports.at(-1)).toMatchObject({ kind: "listing" });
        const last = reports.at(-1) as Extract<Report, { kind: "listing" }>;
        const listed = options.inOrder
          ? last.nodes
          : [...last.nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(listed).toEqual(nodes);
        return true as const;
      }),
    isOut: (reason) =>
      eventually(() => {
        options.wake?.();
        expect(reports.at(-1)).toMatchObject({ kind: "outage", reason: expect.stringMatching(reason) });
        return true as const;
      }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}
