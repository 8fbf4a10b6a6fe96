import { resolve } from "node:path";
import type { Command } from "commander";
import { defaultLabDir, findLab } from "../lab/find-lab.ts";
import type { FleetDocument, NodeDocument } from "../lab/fleet-document.ts";
import { CommandFailure, usage } from "./failure.ts";

export interface CoordinatorOptions {
  readonly dir?: string;
  readonly http?: string;
}

export interface NodeOptions {
  readonly dir?: string;
  readonly server?: string;
  readonly node?: string;
}

/** Where a node's server listens. */
export interface FoundNode {
  /** Known in a lab. */
  readonly name: string | undefined;
  readonly url: string;
}

export function withCoordinatorOptions(command: Command): Command {
  return command
    .option("--dir <folder>", `a lab's folder (default: the lab that runs in ${defaultLabDir})`)
    .option("--http <url>", "the coordinator's HTTP, as http://127.0.0.1:9464 (or CIM_HTTP)");
}

export function withNodeOptions(command: Command): Command {
  return command
    .option("--node <node>", "the node of a lab (default: its hub)")
    .option("--dir <folder>", `a lab's folder (default: the lab that runs in ${defaultLabDir})`)
    .option("--server <url>", "the node's nats-server, as nats://127.0.0.1:4222 (or CIM_NATS_URL)");
}

/** The base URL of the coordinator that is meant. @throws CommandFailure, LabError */
export async function findCoordinator(options: CoordinatorOptions, env = process.env): Promise<string> {
  if (options.http !== undefined) return httpUrl(options.http, "--http");
  const lab = await labOf(options.dir);
  if (lab) {
    if (lab.hub.pid === null) throw notRunning(lab.hub, "daemon", options.dir);
    return lab.hub.http;
  }
  if (env.CIM_HTTP) return httpUrl(env.CIM_HTTP, "CIM_HTTP");
  throw usage(
    "no fleet found: start one with cim lab up, or write --dir <lab folder>, or --http <url> of a coordinator",
  );
}

/** The server of the node that is meant. @throws CommandFailure, LabError */
export async function findNode(options: NodeOptions, env = process.env): Promise<FoundNode> {
  const { server, node } = options;
  if (server !== undefined && node !== undefined) {
    throw usage(
      "--node picks a node of a lab; with --server write that node's own server and leave --node out",
    );
  }
  if (server !== undefined) return { name: undefined, url: natsUrl(server, "--server") };
  const lab = await labOf(options.dir);
  if (lab) return labNode(lab, node ?? lab.hub.name, options.dir);
  if (node !== undefined) {
    throw usage(
      "--node picks a node of a lab, and none runs here: write --dir <lab folder>, or --server <url>",
    );
  }
  if (env.CIM_NATS_URL) return { name: undefined, url: natsUrl(env.CIM_NATS_URL, "CIM_NATS_URL") };
  throw usage(
    "no fleet found: start one with cim lab up, or write --dir <lab folder>, or --server <url> of a node",
  );
}

/** The lab in this folder, or in the usual one; undefined when none runs there and no folder was named. */
export async function labOf(dir: string | undefined): Promise<FleetDocument | undefined> {
  const lab = await findLab(dir ?? defaultLabDir);
  if (lab || dir === undefined) return lab;
  throw new CommandFailure(`no lab runs in ${dir}: start one with cim lab up --dir ${dir}`);
}

function labNode(lab: FleetDocument, name: string, dir: string | undefined): FoundNode {
  const nodes: readonly NodeDocument[] = [lab.hub, ...lab.leaves];
  const found = nodes.find((node) => node.name === name);
  if (!found) {
    const names = nodes.map((node) => node.name).join(", ");
    throw usage(`--node: there is no node "${name}" in the lab: write one of ${names}`);
  }
  if (found.natsPid === null) throw notRunning(found, "nats-server", dir);
  return { name, url: found.nats };
}

function notRunning(node: NodeDocument, what: string, dir: string | undefined): CommandFailure {
  const where = dir === undefined || resolve(dir) === resolve(defaultLabDir) ? "" : ` --dir ${dir}`;
  return new CommandFailure(`the ${what} of ${node.name} does not run: cim lab start ${node.name}${where}`);
}

function httpUrl(text: string, where: string): string {
  const full = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full))
    throw usage(`${where}: "${text}" is not a URL; write one as http://127.0.0.1:9464`);
  return full.replace(/\/+$/, "");
}

function natsUrl(text: string, where: string): string {
  const full = /^[a-z+]+:\/\//.test(text) ? text : `nats://${text}`;
  if (/^(nats|tls):\/\//.test(full) && URL.canParse(full)) return full;
  throw usage(`${where}: "${text}" is not a server's URL; write one as nats://127.0.0.1:4222`);
}
