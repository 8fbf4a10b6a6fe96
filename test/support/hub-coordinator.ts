import { Coordinator } from "../../coordinator/coordinator.ts";
import type { FleetNode } from "../../coordinator/fleet/fleet.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { freePort } from "./free-port.ts";
import { startNatsFleet } from "./nats-fleet.ts";

/** What of a hub's configuration a test is about. */
export type HubSections = Partial<Pick<ConfigDocument, "discovery" | "routing" | "health">>;

/** A coordinator in this process, on a real nats-server; `get` asks its API. */
export async function startHubCoordinator(first: HubSections) {
  const nats = await startNatsFleet({ leaves: [] });
  const http = `127.0.0.1:${await freePort()}`;
  const outbox = { maxBytes: 64 * 1024 * 1024 };
  const config = (sections: HubSections) => {
    const { node, role, dataDir, nats: server } = nats.config("hub");
    return derive(configDocument.parse({ node, role, dataDir, nats: server, http, outbox, ...sections }));
  };
  const coordinator = await new Coordinator(config(first)).start();
  const get = async <T>(path: string) => (await (await fetch(`http://${http}/api/v1/${path}`)).json()) as T;
  return {
    nats,
    get,
    reload: (sections: HubSections) => coordinator.reload(config(sections)),
    /** Names of the nodes that a source lists. */
    async listedBy(source: string): Promise<string> {
      const { nodes } = await get<{ nodes: FleetNode[] }>("nodes");
      const listed = nodes.filter(({ sources }) => sources.includes(source));
      return listed
        .map(({ name }) => name)
        .sort()
        .join();
    },
    async [Symbol.asyncDispose]() {
      await coordinator[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}
