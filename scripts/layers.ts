import { glob, readFile } from "node:fs/promises";
import { posix } from "node:path";

/** From low to high: a file imports its own layer and lower ones. Layers of one row may import each other. */
const ROWS: readonly (readonly string[])[] = [
  ["shared/protocol"],
  ["shared/consistency"],
  ["shared/config", "shared/observe"],
  ["shared/nats"],
  ["shared/follow", "shared/discovery"],
  ["shared/client", "shared/daemon"],
  ["agent", "coordinator"],
  ["lab"],
  ["cli"],
];

/** The two daemons stay apart, but for the hub's own outbox, which the coordinator ships, and its own states. */
const APART = new Set(["agent", "coordinator"]);
const ALLOWED_ACROSS = [
  { from: /^coordinator\/own-outbox\.ts$/, to: /^agent\/own-node\.ts$/ },
  { from: /^coordinator\/own-state\.ts$/, to: /^agent\/state\/node-state\.ts$/ },
];

/** The words of the protocol are pure: whatever reaches a disk, a socket, a clock or a process is not for them. */
const PURE_LAYER = "shared/protocol";
const PURE_PACKAGES = /^(node:(buffer|crypto|util|zlib)|zod)$/;

export interface SourceFile {
  /** Relative to the checkout, with forward slashes. */
  readonly file: string;
  readonly text: string;
}

export interface LayerViolation {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** Type imports count: a layer that only names a higher one's types cannot be read without it either. */
export function findLayerViolations(sources: readonly SourceFile[]): LayerViolation[] {
  return sources.flatMap(({ file, text }) => {
    const layer = layerOf(file);
    if (layer === undefined) {
      return [{ file, line: 1, message: "is in no layer: give its folder a row in scripts/layers.ts" }];
    }
    return importsOf(text).flatMap(({ specifier, line }) => {
      const message = specifier.startsWith(".")
        ? judgeFile(file, layer, posix.join(posix.dirname(file), specifier))
        : judgePackage(layer, specifier);
      return message === undefined ? [] : [{ file, line, message }];
    });
  });
}

/** Every source file of the program (not its tests, benches and scripts, which may import anything). */
export async function readSources(root: string): Promise<SourceFile[]> {
  const files: string[] = [];
  for await (const file of glob("{shared,agent,coordinator,lab,cli}/**/*.{ts,js}", { cwd: root })) {
    files.push(file.split("\\").join("/"));
  }
  return Promise.all(
    files.sort().map(async (file) => ({ file, text: await readFile(`${root}/${file}`, "utf8") })),
  );
}

function judgeFile(file: string, from: string, target: string): string | undefined {
  const to = layerOf(target);
  if (to === undefined)
    return target === "package.json" ? undefined : `imports ${target}, outside the layers`;
  if (from === to) return undefined;
  if (APART.has(from) && APART.has(to)) {
    const allowed = ALLOWED_ACROSS.some((rule) => rule.from.test(file) && rule.to.test(target));
    return allowed ? undefined : `imports ${target}: ${from} and ${to} know nothing of each other`;
  }
  return rowOf(to) > rowOf(from) ? `imports ${target}: ${from} is below ${to}` : undefined;
}

function judgePackage(layer: string, specifier: string): string | undefined {
  if (specifier === "cim") return "imports the package by its own name: use the relative path";
  if (layer !== PURE_LAYER || PURE_PACKAGES.test(specifier)) return undefined;
  return `imports ${specifier}: ${PURE_LAYER} does no I/O`;
}

function layerOf(file: string): string | undefined {
  return ROWS.flat().find((layer) => file.startsWith(`${layer}/`));
}

function rowOf(layer: string): number {
  return ROWS.findIndex((row) => row.includes(layer));
}

const IMPORTS =
  /^[ \t]*(?:import|export)\b(?:[^;"'`]*?\bfrom)?\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;

function importsOf(text: string): { specifier: string; line: number }[] {
  return [...text.matchAll(IMPORTS)].map((match) => ({
    specifier: match[1] ?? match[2] ?? "",
    line: text.slice(0, match.index).split("\n").length,
  }));
}
