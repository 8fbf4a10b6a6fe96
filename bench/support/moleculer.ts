import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { tempDir } from "../../test/support/temp-dir.ts";

/** Its own newest, and the client that its transporter for NATS is made for. */
const PACKAGES = ["moleculer@0.15", "nats@2"];
const INSTALL_TIMEOUT_MS = 120_000;
const START_TIMEOUT_MS = 30_000;

/** What is used of Moleculer. */
interface Broker {
  createService(schema: { name: string; actions: Readonly<Record<string, Action>> }): unknown;
  start(): Promise<void>;
  stop(): Promise<void>;
  waitForServices(names: string, timeoutMs: number): Promise<unknown>;
  call(action: string, params: object): Promise<unknown>;
}
type Action = (context: { readonly params: { readonly body: string } }) => string;
interface Package {
  readonly ServiceBroker: { readonly MOLECULER_VERSION: string; new (options: object): Broker };
}

/** Two of its nodes, each at a server of its own; what one is called for the other answers with what it got. */
export interface Moleculer extends AsyncDisposable {
  readonly version: string;
  /** Gives the answer. */
  call(body: string): Promise<string>;
}

/**
 * Installs Moleculer into a folder of its own, which goes with it, and starts it as it comes: JSON, no log.
 * @param urls of the servers of the caller and of the one that answers
 * @returns why there is none, in one line, when npm can't install it
 * @throws what Moleculer throws
 */
export async function startMoleculer(urls: {
  readonly caller: string;
  readonly handler: string;
}): Promise<Moleculer | string> {
  const dir = await tempDir("cim-bench-moleculer-");
  const brokers: Broker[] = [];
  const dispose = async () => {
    await Promise.all(brokers.map((broker) => broker.stop()));
    await dir[Symbol.asyncDispose]();
  };
  try {
    const flags = [
      "--no-save",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--fetch-retries=0",
      "--prefix",
      dir.path,
    ];
    const failed = await promisify(execFile)("npm", ["install", ...flags, ...PACKAGES], {
      timeout: INSTALL_TIMEOUT_MS,
    }).then(
      () => undefined,
      (error: Error & { readonly stderr?: string }) => firstLine(error.stderr) || error.message,
    );
    if (failed !== undefined) {
      await dispose();
      return failed;
    }
    // Not by import: it is no dependency of ours, and is where nobody would look for it.
    const load = createRequire(join(dir.path, "package.json"));
    const { ServiceBroker } = load("moleculer") as Package;
    const broker = (nodeID: string, transporter: string) => {
      const made = new ServiceBroker({ nodeID, transporter, logger: false });
      brokers.push(made);
      return made;
    };
    const [caller, handler] = [broker("caller", urls.caller), broker("handler", urls.handler)];
    handler.createService({ name: "orders", actions: { place: ({ params }) => params.body } });
    await Promise.all(brokers.map((one) => one.start()));
    await caller.waitForServices("orders", START_TIMEOUT_MS);
    return {
      version: ServiceBroker.MOLECULER_VERSION,
      call: async (body) => (await caller.call("orders.place", { body })) as string,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

const firstLine = (text: string | undefined): string | undefined => text?.trim().split("\n").at(0);
