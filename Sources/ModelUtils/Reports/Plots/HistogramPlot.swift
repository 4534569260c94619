import ModelCore

/// How often values lie where, as small as several of them stand side by side; drawn as SVG.
///
/// The drawing follows the viewer's light or dark mode and needs no script.
public struct HistogramPlot: Sendable, Hashable {
  /// What stands above it.
  public var title: String
  /// What stands below it, such as the mean.
  public var caption: String
  /// How many values lie in each of equal parts of the range.
  public var counts: [Int]
  /// The range.
  public var range: ClosedRange<Double>
  /// Which of the eight colours of plots it has; numbers beyond begin again.
  public var color: Int

  /// A histogram of values that were counted.
  public init(title: String, caption: String = "", counts: [Int], range: ClosedRange<Double>, color: Int = 0) {
    (self.title, self.caption, self.counts, self.range, self.color) = (title, caption, counts, range, color)
  }

  /// The drawing as a file of its own.
  public func svg() -> String { svg(isAlone: true) }

  /// Writes the drawing, whole or not at all.
  /// - Throws: `ModelError` when it cannot be written.
  public func write(to location: some FileLocation) throws {
    try AtomicFile.write(svg(), to: location)
  }
}

extension HistogramPlot {
  private static let (width, height) = (188.0, 132.0)
  private static let (left, right, top, bottom) = (12.0, 176.0, 30.0, 92.0)

  func svg(isAlone: Bool) -> String {
    var content = PlotStyle.text(MarkupText.cutFront(title, to: 24), x: Self.left, y: 20)
    let ends = [Self.left, Self.bottom, Self.right].map(MarkupText.place)
    if let outline {
      let color = PlotStyle.color(color)
      content += "<path class=\"mu-d\(color)\" d=\"\(outline)\"/>\n"
      content += PlotStyle.text(CFormat.string("%.3g", range.lowerBound), x: Self.left, y: Self.bottom + 15)
      content += PlotStyle.text(
        CFormat.string("%.3g", range.upperBound), x: Self.right, y: Self.bottom + 15, anchor: "end")
      if range.lowerBound < 0, range.upperBound > 0 {
        let share = range.lowerBound / (range.lowerBound - range.upperBound)
        let zero = MarkupText.place(Self.left + share * (Self.right - Self.left))
        content += "<path class=\"mu-line\" d=\"M\(zero) \(MarkupText.place(Self.top))V\(ends[1])\"/>\n"
      }
    } else {
      content += PlotStyle.text("no range", x: Self.width / 2, y: Self.bottom - 20, anchor: "middle")
    }
    content += "<path class=\"mu-line\" d=\"M\(ends[0]) \(ends[1])H\(ends[2])\"/>\n"
    content += PlotStyle.text(MarkupText.cut(caption, to: 28), x: Self.width / 2, y: Self.bottom + 31, anchor: "middle")
    let name = caption.isEmpty ? title : "\(title): \(caption)"
    return PlotStyle.svg(width: Self.width, height: Self.height, title: name, isAlone: isAlone, content)
  }

  /// The steps from the first part to the last, closed along the axis; nil where nothing was counted.
  private var outline: String? {
    guard let most = counts.max(), most > 0 else { return nil }
    let step = (Self.right - Self.left) / Double(counts.count)
    var path = "M\(MarkupText.place(Self.left)) \(MarkupText.place(Self.bottom))"
    var last = -1
    for (index, count) in counts.enumerated() {
      if count != last {
        let y = Self.bottom - Double(max(0, count)) / Double(most) * (Self.bottom - Self.top)
        path += "V\(MarkupText.place(y))"
        last = count
      }
      if index + 1 == counts.count || counts[index + 1] != count {
        path += "H\(MarkupText.place(Self.left + Double(index + 1) * step))"
      }
    }
    return path + "V\(MarkupText.place(Self.bottom))Z"
  }
}
