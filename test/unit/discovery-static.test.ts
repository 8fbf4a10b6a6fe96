import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import { StaticSource } from "../../shared/discovery/static-source.ts";
import { sourceCompliance } from "../support/source-compliance.ts";

sourceCompliance("static nodes", {
  changesByReopening: true,
  async start() {
    let staticNodes: readonly DiscoveredNode[] = [];
    return {
      async list(nodes) {
        staticNodes = nodes;
      },
      open: (init) => new StaticSource({ ...init, staticNodes }),
      async [Symbol.asyncDispose]() {},
    };
  },
});
