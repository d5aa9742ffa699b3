// What a field does; `element`, `props`, `trigger` and `watch` come from Gradio.
// The value of a field is a string, that of a menu {choice, options}.
const field = element.querySelector("[data-field]");
const kind = field.dataset.kind;
const one = (selector) => field.querySelector(selector);
const stops = field.dataset.stops ? JSON.parse(field.dataset.stops) : [];
let waiting;

// Of changes in a row the last is sent: Gradio would ask for each at once, and show the answers in the order they come.
const send = (value, after = 0) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    props.value = value;
    trigger("input");
  }, after);
};
const nearest = (number) => {
  let best = 0;
  const away = (value) => Math.abs(Math.log(+value + 1) - Math.log(number + 1));
  stops.forEach(([value], index) => { if (away(value) < away(stops[best][0])) best = index; });
  return best;
};
const say = (index, text) => {
  const range = one("input[type=range]");
  range.value = index;
  range.setAttribute("aria-valuetext", text);
};
const fill = () => { // a menu's options come with its value
  const select = one("select");
  select.replaceChildren(...props.value.options.map((option) => new Option(...[option].flat().reverse())));
  select.value = props.value.choice;
};

field.addEventListener("input", async (event) => {
  const input = event.target;
  if (input.type === "range") {
    const [value, text] = stops[input.value];
    say(input.value, text);
    const entry = one("input[type=number]");
    if (entry) entry.value = value;
    else one("output").textContent = text;
    send(value);
  } else if (kind === "stops") {
    if (+input.value >= 0 && input.value !== "") say(nearest(+input.value), input.value);
    send(input.value);
  } else if (kind === "menu") {
    send({ ...props.value, choice: input.value });
  } else if (kind === "text") {
    send(input.value, 150);
  } else if (kind !== "file") {
    send(input.value);
  }
});
field.addEventListener("change", async (event) => {
  if (kind !== "file" || !event.target.files?.length) return;
  const file = event.target.files[0];
  send(file.size > 4e6 ? "too large" : await file.text());
});
field.addEventListener("click", (event) => {
  if (kind !== "file" || !event.target.matches("button")) return;
  one("input").value = "";
  send("");
});
if (kind === "menu") {
  fill();
  watch("value", fill);
}
