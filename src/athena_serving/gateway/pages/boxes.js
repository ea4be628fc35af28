// Places on a picture that an answer speaks of, in whatever spelling: a pure search in JSON, without elements.
//
// Known are lists of objects with their place under one of PLACES or in members of their own (x, y, width, height),
// place and words side by side in a list ([points, text, score]), and lists of places beside lists of words
// ({boxes: […], labels: […], scores: […]}). A place is four numbers, six or more, or three or more points.

const PLACES = [
  "box", "bbox", "boundingbox", "rect", "rectangle", "polygon", "poly", "points", "corners", "quad", "vertices",
  "segmentation", "contour", "region", "location", "position", "coordinates", "boundingpoly", "xyxy", "xywh",
];
const LISTS = [
  "boxes", "bboxes", "boundingboxes", "rects", "polygons", "polys", "quads", "xyxy", "xywh", "dtpolys", "recpolys",
  "dtboxes", "recboxes", "detpolygons",
];
const LABELS = ["text", "rectext", "transcription", "label", "class", "classname", "category", "name", "word", "value", "title"];
const LABEL_LISTS = ["texts", "rectexts", "transcriptions", "labels", "classes", "classnames", "categories", "names", "words"];
const SCORES = ["score", "confidence", "conf", "textscore", "recscore", "boxscore", "probability", "prob"];
const SCORE_LISTS = ["scores", "confidences", "recscores", "textscores", "probabilities"];
const SIDES = [["x1", "y1", "x2", "y2"], ["xmin", "ymin", "xmax", "ymax"], ["left", "top", "right", "bottom"]];
const SIZES = [["x", "y", "width", "height"], ["x", "y", "w", "h"], ["left", "top", "width", "height"]];
const MOST = 500; // shapes that a reader can still tell apart
const DEEPEST = 12;

/** Every place in these JSON values: `points` as [x, y] in pixels of the picture, with `label` and `score` if it has them. */
export function shapes(values, { width, height }) {
  const found = [];
  const visit = (node, depth) => {
    if (node === null || typeof node !== "object" || depth > DEEPEST || found.length >= MOST) return;
    const here = Array.isArray(node) ? fromTuple(node) : fromObject(node);
    found.push(...here);
    if (!here.length) Object.values(node).forEach((one) => visit(one, depth + 1));
  };
  values.forEach((one) => visit(one, 0));
  return settled(found.slice(0, MOST), width, height);
}

const plain = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const pick = (members, names) => names.map((name) => members.get(name)).find((value) => value !== undefined);

function fromObject(node) {
  const members = new Map(Object.entries(node).map(([name, value]) => [plain(name), value]));
  const name = PLACES.find((one) => placeOf(members.get(one), one));
  const shape = name ? placeOf(members.get(name), name) : placeOf(node);
  if (shape) return [{ ...shape, label: textOf(pick(members, LABELS)), score: scoreOf(pick(members, SCORES)) }];
  return fromLists(members);
}

/** {boxes: […], labels: […]}; nothing where the boxes are objects, which speak for themselves. */
function fromLists(members) {
  for (const name of LISTS) {
    const list = members.get(name);
    const places = Array.isArray(list) ? list.map((one) => Array.isArray(one) && placeOf(one, name)) : [];
    if (!places.length || !places.every(Boolean)) continue;
    const labels = pick(members, LABEL_LISTS) ?? [];
    const scores = pick(members, SCORE_LISTS) ?? [];
    return places.map((one, index) => ({ ...one, label: textOf(labels[index]), score: scoreOf(scores[index]) }));
  }
  return [];
}

/** [points, text, score] and [points, [text, score]]. */
function fromTuple(node) {
  const [first, ...rest] = node;
  const words = rest.flat();
  if (!Array.isArray(first) || typeof words[0] !== "string") return [];
  const shape = placeOf(first);
  return shape ? [{ ...shape, label: words[0], score: scoreOf(words[1]) }] : [];
}

/** The points of a place; of four numbers, which may mean two things, `four` until all of them are known. */
function placeOf(value, name = "") {
  if (Array.isArray(value)) return fromArray(value, name);
  if (value === null || typeof value !== "object") return null;
  const members = new Map(Object.entries(value).map(([key, one]) => [plain(key), one]));
  for (const [names, isSize] of [...SIDES.map((one) => [one, false]), ...SIZES.map((one) => [one, true])]) {
    const four = names.map((one) => members.get(one));
    if (four.every(isNumber)) return { four, isSize };
  }
  const inner = ["vertices", "normalizedvertices", "points", "polygon"].map((key) => members.get(key)).find(Array.isArray);
  return inner ? fromArray(inner) : null;
}

function fromArray(value, name = "") {
  if (value.length === 1 && Array.isArray(value[0])) return fromArray(value[0], name); // COCO has a list of polygons
  if (value.length === 4 && value.every(isNumber)) {
    return { four: value, isSize: name === "xywh" || (name === "xyxy" ? false : undefined) };
  }
  if (value.length >= 6 && value.length % 2 === 0 && value.every(isNumber)) {
    return { points: value.flatMap((x, index) => (index % 2 ? [] : [[x, value[index + 1]]])) };
  }
  const points = value.map(pointOf);
  if (points.length === 2 && points.every(Boolean)) return { four: points.flat(), isSize: false };
  return points.length >= 3 && points.every(Boolean) ? { points } : null;
}

function pointOf(value) {
  if (Array.isArray(value)) return value.length === 2 && value.every(isNumber) ? value : null;
  return isNumber(value?.x) && isNumber(value?.y) ? [value.x, value.y] : null;
}

const scoreOf = (value) => (isNumber(value) ? value : undefined);

function textOf(value) {
  if (Array.isArray(value)) return textOf(value[0]);
  if (typeof value === "string") return value;
  return isNumber(value) ? String(value) : (value?.text ?? value?.name ?? undefined);
}

/** Four numbers are two corners, unless some of them cannot be; all numbers up to 1 are parts of the picture. */
function settled(found, width, height) {
  const open = found.filter(({ four, isSize }) => four && isSize === undefined);
  const hasSizes = open.some(({ four: [x1, y1, x2, y2] }) => x2 <= x1 || y2 <= y1);
  const cornered = found.map(({ four, isSize = hasSizes, points, ...rest }) => ({
    ...rest,
    points: points ?? rectangle(four, isSize),
  }));
  const isPart = cornered.every(({ points }) => points.flat().every((value) => value >= 0 && value <= 1.001));
  const [x, y] = isPart ? [width, height] : [1, 1];
  return cornered.map((one) => ({ ...one, points: one.points.map(([left, top]) => [left * x, top * y]) }));
}

function rectangle([x1, y1, third, fourth], isSize) {
  const [x2, y2] = isSize ? [x1 + third, y1 + fourth] : [third, fourth];
  return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
}
