/// The frame of a page and its small parts; texts that are given are markup already, but for `part`'s title.
enum PageText {
  /// A text as a cell shows it.
  static func value(_ text: String) -> String { MarkupText.escaped(MarkupText.cut(text, to: 500)) }

  static func start(_ title: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <meta name="color-scheme" content="light dark"/>
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
    <title>\(value(title))</title>
    <style>\(css)\(PlotStyle.css)</style>
    </head>
    <body>
    <h1>\(value(title))</h1>

    """
  }

  static let end = "</body>\n</html>\n"

  /// A part of the page under a heading.
  static func part(_ title: String, _ content: String) -> String {
    "<section>\n<h2>\(MarkupText.escaped(title))</h2>\n\(content)</section>\n"
  }

  /// What is shown when its name is clicked.
  static func folded(_ name: String, _ content: String) -> String {
    "<details>\n<summary>\(name)</summary>\n\(content)</details>\n"
  }

  /// Figures that stand out, with their names above them.
  static func figures(_ entries: [RunReport.Entry]) -> String {
    let cells = entries.map { "<div><dt>\(value($0.name))</dt><dd>\(value($0.value))</dd></div>\n" }
    return "<dl class=\"figures\">\n\(cells.joined())</dl>\n"
  }

  /// What is moved sideways where it is wider than the page.
  static func scrolled(_ content: String) -> String { "<div class=\"scrolled\">\n\(content)</div>\n" }

  static func table(_ names: [String], _ rows: [[String]]) -> String {
    let head = names.map { "<th scope=\"col\">\($0)</th>" }.joined()
    let body = rows.map { "<tr>" + $0.map { "<td>\($0)</td>" }.joined() + "</tr>\n" }.joined()
    return "<table>\n<thead><tr>\(head)</tr></thead>\n<tbody>\n\(body)</tbody>\n</table>\n"
  }

  private static let css = """
    :root{color-scheme:light dark}\
    body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1.2rem;color:#1d2329;background:#f4f6f7}\
    h1{font-size:1.6rem}h2{font-size:1.2rem;margin:2rem 0 .6rem}\
    table{border-collapse:collapse;background:#fff}th,td{padding:.2rem .8rem;text-align:left;border:1px solid #d5dade}\
    td{overflow-wrap:anywhere}figure{margin:0;overflow-x:auto}summary{cursor:pointer;margin:.6rem 0}\
    svg{max-width:100%;height:auto;border-radius:6px}.wide svg{max-width:none}\
    .plots{display:flex;flex-wrap:wrap;gap:1rem}\
    .pair{display:flex;flex-wrap:wrap;gap:1rem}.pair>div{flex:0 1 auto;min-width:0}.pair>div+div{flex:1 1 26rem}\
    .pair figure{margin:0 0 .8rem}.plots>figure{min-width:0;margin:0}.scrolled{overflow-x:auto;max-height:36rem}\
    .columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:1rem 2rem}\
    .columns{align-items:start}.columns .plots{gap:.6rem}.figures+figure,.figures+.scrolled{margin-top:.8rem}\
    .columns>div{min-width:0}h3{font-size:1rem;margin:.6rem 0;overflow-wrap:anywhere}\
    h1,p{overflow-wrap:anywhere}.headline{font-weight:600}\
    .entries{margin:.8rem 0}.entries th{font-weight:500;vertical-align:top}\
    .figures{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:0}.figures dt{font-size:.85rem}\
    .figures dd{margin:0;font-size:1.4rem;font-weight:600}\
    .grid{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;padding:0}.grid li{width:136px;font-size:.85rem;overflow-wrap:anywhere}\
    .grid img{width:128px;height:128px;object-fit:contain;image-rendering:pixelated;display:block;border:4px solid #2563c9;border-radius:4px}\
    .grid .miss img{border-color:#c2410c}\
    @media (prefers-color-scheme:dark){body{color:#e6e9ec;background:#0d0f11}table{background:#16191d}th,td{border-color:#3a4149}}
    """
}
