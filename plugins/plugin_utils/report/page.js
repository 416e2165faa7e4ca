"use strict";
(function () {
  var tools = document.querySelectorAll(".tools");
  function apply(tool) {
    var scope = document.getElementById(tool.getAttribute("data-for"));
    var words = tool.querySelector("input[type=search]").value.toLowerCase().split(/\s+/);
    var troubles = tool.querySelector("input[type=checkbox]").checked;
    var shown = 0, all = 0;
    scope.querySelectorAll("[data-find]").forEach(function (item) {
      var text = item.getAttribute("data-find");
      var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
      var hide = !fits || (troubles && !item.hasAttribute("data-bad"));
      item.hidden = hide;
      if (item.tagName === "DETAILS") { all += 1; if (!hide) { shown += 1; } }
    });
    scope.querySelectorAll("tbody").forEach(function (body) {
      var rows = body.querySelectorAll("tr[data-find]");
      var head = body.querySelector("tr.section");
      if (head) { head.hidden = !Array.prototype.some.call(rows, function (row) { return !row.hidden; }); }
    });
    tool.querySelector("output").textContent = shown + " of " + all + " clauses";
  }
  tools.forEach(function (tool) {
    tool.hidden = false;
    tool.addEventListener("input", function () { apply(tool); });
    tool.addEventListener("submit", function (event) { event.preventDefault(); });
    apply(tool);
  });
  function reveal() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.hidden = false; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  reveal();
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (item) { item.open = true; });
  });
}());
