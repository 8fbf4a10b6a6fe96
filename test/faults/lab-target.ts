import type { Lab } from "../../lab/lab.ts";
import { parseLinkCondition } from "../../lab/link-condition.ts";
import type { SmallDisk } from "../support/small-disk.ts";
import type { Fault, FaultKind } from "./fault.ts";
import type { FaultNode, FaultTarget } from "./target.ts";

/** What a filled disk has left: less than a write needs. */
const leftBytes = 16 * 1024;

/** Breaks a lab that runs in this process. */
export class LabTarget implements FaultTarget {
  readonly nodes: readonly FaultNode[];
  readonly cannot: ReadonlyMap<FaultKind, string>;
  readonly #lab: Lab;
  readonly #disks: ReadonlyMap<string, SmallDisk>;
  readonly #notices: string[];

  /** `disks`: the small disks that hold nodes' stores. `notices`: where the lab's `onNotice` puts its lines. */
  constructor(lab: Lab, disks: ReadonlyMap<string, SmallDisk>, notices: string[]) {
    this.#lab = lab;
    this.#disks = disks;
    this.#notices = notices;
    this.nodes = [lab.hub, ...lab.leaves].map(({ name, role, natsUrl }) => ({ name, role, natsUrl }));
    this.cannot = new Map(disks.size > 0 ? [] : [["disk-full", "no small disk can be mounted here"]]);
  }

  async begin({ kind, node: name, part = "both", condition = "" }: Fault): Promise<void> {
    const node = this.#lab.node(name);
    switch (kind) {
      case "kill":
        return await node.kill(part);
      case "pause":
        return await node.stop(part);
      case "restart":
        return await node.finish(part);
      case "disk-full":
        return await this.#fill(name);
      case "reader":
        return;
      default:
        await this.#lab.link(name).set(parseLinkCondition(condition));
    }
  }

  async end({ kind, node: name, part = "both" }: Fault): Promise<void> {
    const node = this.#lab.node(name);
    switch (kind) {
      case "kill":
      case "restart":
        return await node.start(part);
      case "pause":
        return await node.cont(part);
      case "disk-full":
        await this.#disk(name).grow(this.#disk(name).bytes);
        // nats-server does not go on by itself after a full disk.
        await node.kill("nats");
        return await node.start();
      case "reader":
        return;
      default:
        await this.#lab.link(name).set({ state: "up" });
    }
  }

  troubles(): string[] {
    return this.#notices.splice(0).filter((line) => / ended \(/.test(line));
  }

  async #fill(name: string): Promise<void> {
    const disk = this.#disk(name);
    // What is written meanwhile makes the new size too small: once more.
    for (let tries = 0; ; tries++) {
      try {
        return await disk.grow((await disk.usedBytes()) + leftBytes);
      } catch (error) {
        if (tries > 20) throw error;
      }
    }
  }

  #disk(name: string): SmallDisk {
    const disk = this.#disks.get(name);
    if (!disk) throw new Error(`${name}'s store is on no small disk`);
    return disk;
  }
}
