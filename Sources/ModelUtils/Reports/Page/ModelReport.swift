import ModelCore

/// What a model is, or how two differ, shown to people: one HTML page that needs nothing else, neither network nor script,
/// readable in light and dark mode and in narrow windows.
public struct ModelReport: Sendable {
  /// The page's heading.
  public var title: String
  /// What each column is about; where there are several, it stands above every part of its own.
  public var names: [String]
  /// The parts of the page.
  public var sections: [Section]

  /// A name and its value, as text.
  public typealias Entry = RunReport.Entry
  /// Rows of texts under a heading.
  public typealias Table = RunReport.Table

  /// A part of the page under a heading.
  public struct Section: Sendable {
    /// The heading.
    public var title: String
    /// What is said of all columns together.
    public var common: [Item]
    /// What is said of each of them, side by side.
    public var columns: [[Item]]

    /// A part of the page; one without anything in it is left out.
    public init(_ title: String, common: [Item] = [], columns: [[Item]] = []) {
      (self.title, self.common, self.columns) = (title, common, columns)
    }
  }

  /// Something that a part consists of.
  public enum Item: Sendable {
    /// A paragraph.
    case text(String)
    /// A line that stands out.
    case headline(String)
    /// Figures that stand out.
    case figures([Entry])
    /// Names and values in a table.
    case entries([Entry])
    /// A table without its title.
    case table(Table)
    /// A table that is shown when its title is clicked. It is left out where the page would become too large.
    case folded(Table)
    /// A diagram.
    case diagram(BlockDiagram)
    /// Bars.
    case bars(BarPlot)
    /// Small histograms in rows.
    case histograms([HistogramPlot])
    /// What is narrow, and what stands beside it where there is room.
    indirect case pair([Item], [Item])
  }

  /// No page is larger than this, in bytes.
  public static let sizeLimit = RunReport.sizeLimit

  /// A report.
  public init(title: String, names: [String], sections: [Section] = []) {
    (self.title, self.names, self.sections) = (title, names, sections)
  }

  /// The page. Where it would be too large, tables that are folded are left out, which it says.
  /// - Throws: `ModelError` when it would be larger than `sizeLimit` without them, and for a diagram of too many blocks.
  public func html() throws -> String {
    for keepsFolded in [true, false] {
      let body = try sections.map { try html($0, keepsFolded) }.joined()
      let page = PageText.start(title) + body + PageText.end
      if page.utf8.count <= Self.sizeLimit { return page }
    }
    throw ModelError(.limit, "the page would have more than \(Self.sizeLimit) bytes")
  }

  /// Writes the page, whole or not at all.
  /// - Returns: how many bytes it has.
  /// - Throws: as `html`, and when it cannot be written.
  @discardableResult
  public func write(to location: some FileLocation) throws -> Int {
    let text = try html()
    try AtomicFile.write(text, to: location)
    return text.utf8.count
  }

  // MARK: Parts

  private func html(_ section: Section, _ keepsFolded: Bool) throws -> String {
    var text = try section.common.map { try Self.html($0, keepsFolded) }.joined()
    if section.columns.contains(where: { !$0.isEmpty }) {
      let columns = try section.columns.enumerated().map { index, items in
        let isNamed = section.columns.count > 1 && names.indices.contains(index)
        let name = isNamed ? "<h3>\(PageText.value(names[index]))</h3>\n" : ""
        return try "<div>\n\(name)\(items.map { try Self.html($0, keepsFolded) }.joined())</div>\n"
      }
      text += "<div class=\"columns\">\n\(columns.joined())</div>\n"
    }
    return text.isEmpty ? "" : PageText.part(MarkupText.cut(section.title, to: 500), text)
  }

  private static func html(_ item: Item, _ keepsFolded: Bool) throws -> String {
    switch item {
    case .text(let text): return "<p>\(PageText.value(text))</p>\n"
    case .headline(let text): return "<p class=\"headline\">\(PageText.value(text))</p>\n"
    case .figures(let entries): return entries.isEmpty ? "" : PageText.figures(entries)
    case .entries(let entries):
      let rows = entries.map {
        "<tr><th scope=\"row\">\(PageText.value($0.name))</th><td>\(PageText.value($0.value))</td></tr>\n"
      }
      return entries.isEmpty ? "" : "<table class=\"entries\">\n<tbody>\n\(rows.joined())</tbody>\n</table>\n"
    case .table(let table): return table.rows.isEmpty ? "" : html(table)
    case .folded(let table):
      if table.rows.isEmpty { return "" }
      let name = PageText.value(table.title)
      return keepsFolded ? PageText.folded(name, html(table)) : "<p>\(name): left out, for the size of the page.</p>\n"
    case .diagram(let diagram): return "<figure>\n\(try diagram.svg(isAlone: false))</figure>\n"
    case .bars(let plot): return "<figure>\n\(plot.svg(isAlone: false))</figure>\n"
    case .pair(let narrow, let wide):
      let sides = try [narrow, wide].map { side in
        "<div>\n\(try side.map { try html($0, keepsFolded) }.joined())</div>\n"
      }
      return "<div class=\"pair\">\n\(sides.joined())</div>\n"
    case .histograms(let plots):
      let figures = plots.map { "<figure>\n\($0.svg(isAlone: false))</figure>\n" }
      return figures.isEmpty ? "" : "<div class=\"plots\">\n\(figures.joined())</div>\n"
    }
  }

  private static func html(_ table: Table) -> String {
    PageText.scrolled(PageText.table(table.columns.map(PageText.value), table.rows.map { $0.map(PageText.value) }))
  }
}
