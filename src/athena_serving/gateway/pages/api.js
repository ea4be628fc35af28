// What openapi.json says, as the pages need it.

import { DATA_KEYS } from "./data.js";

const FIRST_HEADERS = ["app_id", "appid"];

/** The document, once it was read. */
export let api = null;

/** Read it, again if it is there already. Throws if it cannot be had. */
export async function load() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  api = await answer.json();
}

/** The node; if it is a reference, with what stands there. */
export function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const target = node.$ref.slice(2).split("/").reduce((found, step) => found?.[unescaped(step)], api);
  return { ...target, ...node };
}

const unescaped = (step) => step.replaceAll("~1", "/").replaceAll("~0", "~");
const schemaOf = (content) => resolve(content?.content?.["application/json"]?.schema);
const exampleOf = (content) => content?.content?.["application/json"]?.example;

export const membersOf = (node) =>
  Object.entries(resolve(node).properties ?? {}).map(([name, one]) => [name, resolve(one)]);
export const requestOf = (operation) => schemaOf(resolve(operation.requestBody));
export const answerOf = (operation) => schemaOf(resolve(operation.responses["200"])).properties?.payload;
export const requestExample = (operation) => exampleOf(resolve(operation.requestBody));
export const answerExample = (operation) => exampleOf(resolve(operation.responses["200"]));
export const urlOf = (path) => new URL(`.${path}`, document.baseURI).href;

/** Services by name, each with its paths and the operation that they share. */
export function services() {
  const found = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    const name = item.post?.tags?.[0];
    if (name === undefined) continue;
    if (!found.has(name)) found.set(name, { name, paths: [], operation: item.post });
    found.get(name).paths.push(path);
  }
  return [...found.values()];
}

/** Which ways to call a service there are: as a stream, and with one answer. */
export function waysOf(operation) {
  const hasStream = operation["x-athena-stream"] === true;
  return { hasStream, hasOnce: !hasStream || operation["x-athena-once"] !== false };
}

/** The request's header: its schema, the names that can be the app id, and which names come first. */
export function headerOf(operation) {
  const header = resolve(requestOf(operation).properties?.header);
  const names = membersOf(header).map(([name]) => name);
  const isWay = (name) => names.includes(name) && header.anyOf?.some((way) => way.required?.includes(name));
  const ways = FIRST_HEADERS.filter(isWay);
  const isFirst = (name) => ways.includes(name) || (header.required ?? []).includes(name);
  return { header, names, ways, isFirst };
}

/** Is a parameter what may be asked of an output (http-api.md 2.5)? */
export function wishOf(operation) {
  const outputs = Object.keys(answerOf(operation)?.properties ?? {});
  return (name, node) => outputs.includes(name) && node.properties !== undefined;
}

/** The member of an input's block that has the data: its name says the kind, `text`, `image`, … */
export const dataKeyOf = (block) => membersOf(block).find(([, node]) => node.contentEncoding)?.[0];

/** The inputs' blocks, and what kind of data each has, by key. */
export const inputsOf = (operation) =>
  Object.fromEntries(membersOf(requestOf(operation).properties?.payload).map(([key, block]) => [key, { kind: dataKeyOf(block), block }]));

/** What may be asked of each output: its block in the request's schema, by the path to it. */
export function wishesOf(operation) {
  const isWish = wishOf(operation);
  const blocks = membersOf(requestOf(operation).properties?.parameter);
  return blocks.flatMap(([key, block]) =>
    membersOf(block).filter(([name, node]) => isWish(name, node)).map(([name, node]) => ({ path: ["parameter", key, name], node })));
}

/** The outputs: key and kind of data of each. */
export const outputsOf = (operation) =>
  membersOf(answerOf(operation)).map(([key, block]) => {
    const names = membersOf(block).map(([name]) => name);
    return { key, kind: DATA_KEYS.find((name) => names.includes(name)) };
  });
