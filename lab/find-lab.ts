import { join, resolve } from "node:path";
import type { ControlRequest } from "./control-messages.ts";
import { askLab } from "./control-socket.ts";
import type { FleetDocument } from "./fleet-document.ts";
import { LabError } from "./lab-error.ts";
import { isRunning } from "./process-identity.ts";
import { readLabState } from "./state.ts";

/** Where `cim lab up` keeps a lab unless told otherwise, from the working folder. */
export const defaultLabDir = join(".cim", "lab");

const statusTimeoutMs = 5_000;

/** The fleet of the lab that runs in this folder; undefined when none does. @throws LabError */
export async function findLab(dir: string): Promise<FleetDocument | undefined> {
  const control = await controlOf(dir);
  if (control === undefined) return undefined;
  return (await askLab(control, { do: "status" }, statusTimeoutMs)) as FleetDocument;
}

/** Tells the lab that runs in this folder to do something, and waits until it is done. @throws LabError */
export async function tellLab(dir: string, request: ControlRequest, timeoutMs: number): Promise<unknown> {
  const control = await controlOf(dir);
  if (control === undefined) throw new LabError(`no lab runs in ${dir}: start one with cim lab up`, 1);
  return await askLab(control, request, timeoutMs);
}

async function controlOf(dir: string): Promise<string | undefined> {
  const state = await readLabState(resolve(dir));
  if (!state?.lab || state.control === null || !(await isRunning(state.lab))) return undefined;
  return state.control;
}
