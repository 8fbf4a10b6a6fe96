import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Metafile } from "esbuild";

/** Folders of the packages whose code is inside the bundles, relative to the checkout, sorted. */
export function bundledPackages(metafile: Metafile): string[] {
  const folders = Object.keys(metafile.inputs).flatMap((input) => {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    return match?.[1] === undefined ? [] : [match[1]];
  });
  return [...new Set(folders)].sort();
}

/** Names of the packages that the bundles import at run time (Node's own modules aside), sorted. */
export function importedPackages(metafile: Metafile): string[] {
  const names = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter((imported) => imported.external && !imported.path.startsWith("node:"))
    .flatMap((imported) => /^(?:@[^/]+\/)?[^/]+/.exec(imported.path) ?? []);
  return [...new Set(names)].sort();
}

/** The text that the licences of bundled packages ask to be passed on. */
export async function licenseNotices(root: string, packages: readonly string[]): Promise<string> {
  const notices = await Promise.all(packages.map((folder) => notice(join(root, folder))));
  return `The commands in this folder contain the following packages.\n\n${notices.join("\n\n")}\n`;
}

async function notice(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)(\.|$)/i.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return [
    `==== ${name} ${version} (${license ?? "licence not declared"})`,
    ...texts.map((text) => text.trim()),
  ].join("\n\n");
}
