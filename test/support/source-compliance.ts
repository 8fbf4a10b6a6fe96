import { describe, expect, it } from "vitest";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import type { Report, Source, SourceInit } from "../../shared/discovery/source.ts";
import { eventually } from "./eventually.ts";

/** What a source looks into, under the test's control. */
export interface Backend extends AsyncDisposable {
  /** Makes it list exactly these nodes from now on. */
  list(nodes: readonly DiscoveredNode[]): Promise<void>;
  /** A new source that looks into it. */
  open(init: SourceInit): Source;
  /** Makes it fail, where it can. */
  fail?(): Promise<void>;
  /** Ends that, with what was listed last. */
  recover?(): Promise<void>;
  /** Makes it list this besides: a name that no node can have. */
  listWrongName?(): Promise<void>;
}

export interface ComplianceOptions {
  readonly start: () => Promise<Backend>;
  /** It can fail, and recover. */
  readonly canFail?: boolean;
  /** Others than cim may write into it. */
  readonly canListAnything?: boolean;
  /** Changes need a new source, as a reload makes one. */
  readonly changesByReopening?: boolean;
}

/** A source that is watched. */
class Watched implements AsyncDisposable {
  readonly reports: Report[] = [];
  readonly source: Source;

  constructor(backend: Backend) {
    this.source = backend.open({ onReport: (report) => this.reports.push(report) });
    this.source.start();
  }

  /** Waits until it lists these nodes and no others, whatever it said before. */
  async lists(nodes: readonly DiscoveredNode[]): Promise<void> {
    await eventually(
      () => {
        const last = this.reports.at(-1);
        expect(last?.kind).toBe("listing");
        expect(sorted((last as Extract<Report, { kind: "listing" }>).nodes)).toEqual(sorted(nodes));
        return true;
      },
      { what: `a listing of ${nodes.map(({ name }) => name).join(", ") || "nothing"}` },
    );
  }

  async isOut(): Promise<Extract<Report, { kind: "outage" }>> {
    return await eventually(
      () => {
        const last = this.reports.at(-1);
        return last?.kind === "outage" && last;
      },
      { what: "an outage" },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
  }
}

const A: DiscoveredNode = {
  name: "leaf-a",
  url: "nats://127.0.0.21:4222",
  region: "eu",
  capabilities: ["gpu", "ssd"],
};
const B: DiscoveredNode = { name: "leaf-b", url: "nats://127.0.0.22:4223", region: "us" };
const C: DiscoveredNode = { name: "leaf-c", url: "nats://127.0.0.23:4224", capabilities: ["camera"] };

/** What every source of nodes must do. */
export function sourceCompliance(name: string, options: ComplianceOptions): void {
  const { start, changesByReopening = false, canFail = false, canListAnything = false } = options;
  describe(`${name}, as every source`, () => {
    /** The source after a change: the same, or a new one where only a reload changes anything. */
    async function changed(backend: Backend, watched: Watched, nodes: readonly DiscoveredNode[]) {
      await backend.list(nodes);
      if (!changesByReopening) return watched;
      await watched[Symbol.asyncDispose]();
      return new Watched(backend);
    }

    it("lists what there is, then what changed, came and went", async () => {
      await using backend = await start();
      await backend.list([A, B]);
      let watched = new Watched(backend);
      try {
        await watched.lists([A, B]);
        watched = await changed(backend, watched, [A, B, C]);
        await watched.lists([A, B, C]);
        const moved = { ...B, region: "asia" };
        watched = await changed(backend, watched, [A, moved, C]);
        await watched.lists([A, moved, C]);
        watched = await changed(backend, watched, [moved, C]);
        await watched.lists([moved, C]);
      } finally {
        await watched[Symbol.asyncDispose]();
      }
    });

    it("says nothing once it is disposed of, and leaves nothing behind", async () => {
      await using backend = await start();
      await backend.list([A, B]);
      await using survivor = new Watched(backend);
      await survivor.lists([A, B]);
      const before = openResources();
      const gone: Watched[] = [];
      for (let round = 0; round < 10; round++) {
        const watched = new Watched(backend);
        // Every other one in the middle of its first question.
        if (round % 2 === 0) await watched.lists([A, B]);
        await watched[Symbol.asyncDispose]();
        // Twice does no harm.
        await watched[Symbol.asyncDispose]();
        gone.push(watched);
      }
      const said = gone.map(({ reports }) => reports.length);
      if (!changesByReopening) {
        await backend.list([A, B, C]);
        await survivor.lists([A, B, C]);
      }
      expect(gone.map(({ reports }) => reports.length)).toEqual(said);
      // The backend's own ends close a moment later than ours.
      await eventually(() => openResources() <= before + 2, { what: "all handles closed" });
    });

    it("may be disposed of before it starts", async () => {
      await using backend = await start();
      const reports: Report[] = [];
      await backend.open({ onReport: (report) => reports.push(report) })[Symbol.asyncDispose]();
      expect(reports).toEqual([]);
    });

    if (canFail) {
      it("says of an outage that it is one, never that there are no nodes, and goes on after it", async () => {
        await using backend = await start();
        await backend.list([A, B]);
        await using watched = new Watched(backend);
        await watched.lists([A, B]);
        await backend.fail?.();
        const { reason } = await watched.isOut();
        expect(reason).toMatch(/^[^\n]+$/);
        expect(
          watched.reports.filter((report) => report.kind === "listing" && report.nodes.length === 0),
        ).toEqual([]);
        await backend.list([A, B, C]);
        await backend.recover?.();
        await watched.lists([A, B, C]);
      });

      it("starts in an outage and finds the nodes after it; disposal in between ends at once", async () => {
        await using backend = await start();
        await backend.list([A]);
        await backend.fail?.();
        await using watched = new Watched(backend);
        await using other = new Watched(backend);
        await watched.isOut();
        await other.isOut();
        await other[Symbol.asyncDispose]();
        await backend.recover?.();
        await watched.lists([A]);
      });
    }
    if (canListAnything) {
      it("leaves out what is no node, says so, and takes a list of nothing else for an outage", async () => {
        await using backend = await start();
        await backend.list([A]);
        await using watched = new Watched(backend);
        await watched.lists([A]);
        await backend.listWrongName?.();
        await eventually(() => {
          const last = watched.reports.at(-1);
          return last?.kind === "listing" && last.leftOut.length > 0;
        });
        await watched.lists([A]);
        await backend.list([]);
        await backend.listWrongName?.();
        expect((await watched.isOut()).reason).toMatch(/lists nothing that can be used/);
      });
    }
  });
}

const sorted = (nodes: readonly DiscoveredNode[]) =>
  [...nodes]
    .map((node) => ({ ...node, ...(node.capabilities && { capabilities: [...node.capabilities].sort() }) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Sockets and timers that are open in this process. */
const openResources = () =>
  process.getActiveResourcesInfo().filter((kind) => /TCP|UDP|Timeout|GetAddrInfo/.test(kind)).length;
