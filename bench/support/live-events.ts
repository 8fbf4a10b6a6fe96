import { get, type IncomingMessage } from "node:http";
import type { FleetNode } from "../../coordinator/fleet/fleet-node.ts";

/** What the coordinator told of a node, and when it came, by `performance.now()`. */
export interface TimedHealth {
  readonly atMs: number;
  readonly node: string;
  readonly health: FleetNode["health"];
}

/** Listens to a coordinator's `/api/v1/events`, and keeps what it tells of nodes that appear and of health. */
export class LiveEvents implements Disposable {
  readonly told: TimedHealth[] = [];
  readonly #response: IncomingMessage;
  readonly #waiting = new Set<() => void>();

  private constructor(response: IncomingMessage) {
    this.#response = response;
    let rest = "";
    response.setEncoding("utf8").on("data", (text: string) => {
      const atMs = performance.now();
      const parts = (rest + text).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) this.#heard(part, atMs);
      for (const look of this.#waiting) look();
    });
  }

  static async open(httpUrl: string): Promise<LiveEvents> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${httpUrl}/api/v1/events`, resolve).once("error", reject);
    });
    response.on("error", () => {});
    return new LiveEvents(response);
  }

  /** The first that is told of a node after a moment and fits. @throws when none comes in time */
  async after(
    sinceMs: number,
    node: string,
    fits: (health: FleetNode["health"]) => boolean,
    timeoutMs: number,
  ): Promise<TimedHealth> {
    return await new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = () => {
        const found = this.told.find((one) => one.atMs >= sinceMs && one.node === node && fits(one.health));
        if (!found) return;
        done();
        resolve(found);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`nothing that fits was told of ${node} within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      this.#waiting.add(look);
      look();
    });
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }

  #heard(part: string, atMs: number): void {
    const [, data] = /^event: node-(?:appeared|health)\ndata: (.+)$/m.exec(part) ?? [];
    if (data === undefined) return;
    const { node, health } = JSON.parse(data) as { node: string; health: FleetNode["health"] };
    this.told.push({ atMs, node, health });
  }
}
