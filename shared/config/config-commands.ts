import * as z from "zod";
import { configNotes } from "./config-notes.ts";
import { configDocument } from "./config-schema.ts";
import type { Environment } from "./environment.ts";
import { faultLine } from "./faults.ts";
import { checkConfig } from "./load-config.ts";

/** What a subcommand prints (on stdout, with a newline at its end), and the process's exit code. */
export interface CommandResult {
  readonly text: string;
  readonly exitCode: 0 | 2;
}

/** `check-config F`: every fault on a line of its own, or that there is none; exit code 2 when there are faults. */
export function checkConfigCommand(path: string, env: Environment): CommandResult {
  const checked = checkConfig(path, env);
  if (checked.ok) {
    const { node, role } = checked.config;
    const notes = configNotes(checked.config).map((note) => `note: ${note}\n`);
    return { text: `${path}: ok, ${role} ${node}\n${notes.join("")}`, exitCode: 0 };
  }
  const count = checked.faults.length;
  const lines = checked.faults.map((fault) => `  ${faultLine(fault)}\n`);
  return { text: `${path}: ${count} ${count === 1 ? "fault" : "faults"}\n${lines.join("")}`, exitCode: 2 };
}

/** `print-schema`: the JSON Schema (2020-12) of the document, with what each key means and its default. */
export function printSchema(): string {
  const schema = z.toJSONSchema(configDocument, { io: "input" });
  return `${JSON.stringify({ title: "cim daemon configuration", ...schema }, null, 2)}\n`;
}
