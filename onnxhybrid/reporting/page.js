"use strict";
// The page is whole without this: here the map can be enlarged and moved, and the curve be read at each threshold.
for (const figure of document.querySelectorAll("[data-zoom]")) {
  const tools = d3.select(figure).insert("div", ":first-child").attr("class", "tools").attr("role", "group")
    .attr("aria-label", "Size of the map");
  const pictures = [...figure.querySelectorAll("svg")].map((svg) => {
    const picture = d3.select(svg);
    const zoom = d3.zoom().scaleExtent([1, 8])
      // A page scrolls under a finger or a wheel, unless the map is enlarged or the wheel is meant for it.
      .filter((event) => event.type === "wheel" ? event.ctrlKey
        : event.type.startsWith("touch") ? event.touches.length > 1 || d3.zoomTransform(svg).k > 1 : !event.button)
      .on("zoom", ({ transform }) => {
        picture.classed("moved", transform.k > 1).select("g").attr("transform", transform);
      });
    const box = svg.viewBox.baseVal;
    zoom.extent([[0, 0], [box.width, box.height]]).translateExtent([[0, 0], [box.width, box.height]]);
    picture.call(zoom).style("touch-action", "pan-y pinch-zoom").on("dblclick.zoom", null);
    return { picture, zoom };
  });
  const button = (text, act) => tools.append("button").attr("type", "button").text(text)
    .on("click", () => pictures.forEach(act));
  button("Larger", ({ picture, zoom }) => picture.call(zoom.scaleBy, 1.5));
  button("Smaller", ({ picture, zoom }) => picture.call(zoom.scaleBy, 1 / 1.5));
  button("Whole map", ({ picture, zoom }) => picture.call(zoom.transform, d3.zoomIdentity));
}
for (const figure of document.querySelectorAll("[data-curve]")) {
  const points = JSON.parse(figure.querySelector("script").textContent);
  const mark = d3.select(figure).select("svg").append("circle").attr("class", "reading").attr("r", 8);
  const reader = d3.select(figure).append("label").attr("class", "reader");
  reader.append("span").text("Read the curve at a threshold");
  const slider = reader.append("input").attr("type", "range").attr("min", 0).attr("max", points.length - 1)
    .property("value", points.findIndex((point) => point.chosen));
  const said = d3.select(figure).append("output").attr("class", "reader");
  const show = () => {
    const point = points[slider.property("value")];
    mark.attr("cx", point.x).attr("cy", point.y);
    said.text(point.says);
    slider.attr("aria-valuetext", point.says);
  };
  slider.on("input", show);
  show();
}
