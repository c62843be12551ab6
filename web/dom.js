// Making and changing elements, in the few ways in which the page does it.

const SVG = "http://www.w3.org/2000/svg";

/** An element; what it has as a property is set as one, all else as an attribute. Children: elements, texts, null. */
export function element(tag, settings = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name in made) made[name] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A button that does something; not one that sends a form. */
export function button(className, onclick, settings, ...children) {
  return element("button", { type: "button", className, onclick, ...settings }, ...children);
}

/** A labelled input of a form. */
export function field(label, input) {
  return element("div", { className: "field" }, element("label", { htmlFor: input.id }, label), input);
}

/** A name and what there is to say of it. */
export function titleAndText(title, text) {
  return element("span", {}, element("strong", {}, title), element("small", {}, text));
}

/** One of the symbols in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  setIcon(svg, name);
  return svg;
}

/** Show another symbol in an element that holds one. */
export function setIcon(holder, name) {
  const use = holder.querySelector("use");
  if (use.getAttribute("href") !== `#i-${name}`) use.setAttribute("href", `#i-${name}`);
}

/** Touches the page only where the text is another. */
export function showText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
