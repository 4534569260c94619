import ModelCore

/// Horizontal bars, drawn as SVG: a row for each name, a panel for each measure.
///
/// The drawing follows the viewer's light or dark mode and needs no script.
public struct BarPlot: Sendable, Hashable {
  /// A name with what was measured of it.
  public struct Row: Sendable, Hashable {
    /// What stands before the bars.
    public var name: String
    /// A bar for each measure.
    public var bars: [Bar]
    /// Which of the eight colours of plots the bars have; numbers beyond begin again.
    public var color: Int

    /// A row of bars.
    public init(_ name: String, bars: [Bar], color: Int = 0) {
      (self.name, self.bars, self.color) = (name, bars, color)
    }
  }

  /// A length and what is written behind it.
  public struct Bar: Sendable, Hashable {
    /// How long it is, from 0; nil, NaN and what is negative are no bar.
    public var value: Double?
    /// What is written behind it.
    public var label: String

    /// A bar with its text.
    public init(_ value: Double?, _ label: String) { (self.value, self.label) = (value, label) }
  }

  /// What stands above the plot.
  public var title: String
  /// What is measured, a panel for each.
  public var measures: [String]
  /// From top to bottom.
  public var rows: [Row]
  /// The value of a bar of full length; each measure's largest when nil.
  public var limit: Double?

  /// A plot of bars.
  public init(title: String, measures: [String], rows: [Row], limit: Double? = nil) {
    (self.title, self.measures, self.rows, self.limit) = (title, measures, rows, limit)
  }

  /// The drawing as a file of its own.
  public func svg() -> String { svg(isAlone: true) }

  /// Writes the drawing, whole or not at all.
  /// - Throws: `ModelError` when it cannot be written.
  public func write(to location: some FileLocation) throws {
    try AtomicFile.write(svg(), to: location)
  }
}

extension BarPlot {
  /// How wide every plot of bars is: not too wide for a telephone.
  static let width = 520.0
  private static let (left, right, rowHeight, barHeight) = (16.0, 504.0, 20.0, 11.0)
  /// The room for the text behind a bar, and between panels.
  private static let (labelWidth, gap) = (66.0, 14.0)

  func svg(isAlone: Bool) -> String {
    // A single panel leaves more room for names.
    let (letters, room) = measures.count < 2 ? (42, 295.0) : (28, 200.0)
    let names = rows.map { MarkupText.cutFront($0.name, to: letters) }
    let widest = names.map { PlotStyle.width(of: $0) }.max() ?? 0
    let start = Self.left + min(room, max(60, widest)) + 10
    let panel = (Self.right - start + Self.gap) / Double(max(1, measures.count)) - Self.gap
    var content = PlotStyle.text(MarkupText.cut(title, to: 70), x: Self.left, y: 24, class: "mu-title")
    for (place, measure) in measures.enumerated() {
      let x = start + Double(place) * (panel + Self.gap)
      content += PlotStyle.text(MarkupText.cut(measure, to: Int(panel / 7)), x: x, y: 46)
    }
    let limits = measures.indices.map { place in
      limit ?? rows.compactMap { Self.length(of: $0, place) }.max() ?? 0
    }
    for (index, row) in rows.enumerated() {
      let y = 56 + Self.rowHeight * Double(index)
      content += PlotStyle.text(names[index], x: start - 10, y: y + 13, anchor: "end")
      for place in measures.indices where row.bars.indices.contains(place) {
        let x = start + Double(place) * (panel + Self.gap)
        let share = limits[place] > 0 ? min(1, (Self.length(of: row, place) ?? 0) / limits[place]) : 0
        content += Self.bar(row, place, x: x, y: y, length: share * (panel - Self.labelWidth))
      }
    }
    if rows.isEmpty {
      content += PlotStyle.text("no values", x: Self.width / 2, y: 69, anchor: "middle")
    }
    let height = 68 + Self.rowHeight * Double(max(1, rows.count))
    return PlotStyle.svg(width: Self.width, height: height, title: title, isAlone: isAlone, content)
  }

  private static func length(of row: Row, _ place: Int) -> Double? {
    guard row.bars.indices.contains(place), let value = row.bars[place].value, value >= 0, value.isFinite else {
      return nil
    }
    return value
  }

  private static func bar(_ row: Row, _ place: Int, x: Double, y: Double, length: Double) -> String {
    let label = MarkupText.cut(row.bars[place].label, to: 12)
    var text = ""
    if length > 0 {
      let color = PlotStyle.color(row.color)
      let name = MarkupText.escaped(MarkupText.cut("\(row.name): \(row.bars[place].label)", to: 200))
      text += "<rect class=\"mu-d\(color)\" x=\"\(MarkupText.place(x))\" y=\"\(MarkupText.place(y + 3.5))\" "
      text += "width=\"\(MarkupText.place(max(0.5, length)))\" height=\"\(MarkupText.place(barHeight))\">"
      text += "<title>\(name)</title></rect>\n"
    }
    return text + PlotStyle.text(label, x: x + (length > 0 ? length + 5 : 0), y: y + 13)
  }
}
