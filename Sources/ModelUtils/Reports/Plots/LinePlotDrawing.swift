import ModelCore

extension LinePlot {
  /// How wide every plot is.
  static let width = 640.0
  private static let (top, left, right, areaHeight) = (40.0, 72.0, 620.0, 260.0)
  /// Up to so many points of a series show their values to a pointer that rests on them.
  private static let dotLimit = 100

  func svg(isAlone: Bool) -> String {
    let points = series.flatMap(\.points).filter(Self.isDrawn)
    let xAxis = PlotAxis(points.map(\.x), isWhole: points.allSatisfy { $0.x == $0.x.rounded() }, isRounded: false)
    let yAxis = PlotAxis(points.map(\.y), isWhole: false, isRounded: true)
    let legend = legendRows()
    let areaTop = Self.top + 20 * Double(legend.count)
    let bottom = areaTop + Self.areaHeight
    func place(_ point: Point) -> Point {
      Point(
        Self.left + xAxis.share(of: point.x) * (Self.right - Self.left),
        bottom - yAxis.share(of: point.y) * Self.areaHeight)
    }
    var content = PlotStyle.text(MarkupText.cut(title, to: 70), x: 16, y: 24, class: "mu-title")
    content += drawn(legend)
    for (tick, label) in zip(yAxis.ticks, yAxis.labels) {
      let y = place(Point(xAxis.low, tick)).y
      content += Self.line(Self.left, y, Self.right, y)
      content += PlotStyle.text(label, x: Self.left - 8, y: y + 4, anchor: "end")
    }
    for (tick, label) in zip(xAxis.ticks, xAxis.labels) {
      let x = place(Point(tick, yAxis.low)).x
      content += Self.line(x, bottom, x, bottom + 5)
      content += PlotStyle.text(label, x: x, y: bottom + 19, anchor: "middle")
    }
    let middle = (Self.left + Self.right) / 2
    content += PlotStyle.text(MarkupText.cut(xLabel, to: 70), x: middle, y: bottom + 38, anchor: "middle")
    if !yLabel.isEmpty {
      content += PlotStyle.text(
        MarkupText.cut(yLabel, to: 36), x: 16, y: areaTop + Self.areaHeight / 2, anchor: "middle", turned: true)
    }
    for (index, series) in series.enumerated() { content += Self.curve(series, index, place) }
    if points.isEmpty {
      content += PlotStyle.text("no values", x: middle, y: areaTop + Self.areaHeight / 2, anchor: "middle")
    }
    return PlotStyle.svg(width: Self.width, height: bottom + 50, title: title, isAlone: isAlone, content)
  }

  private static func isDrawn(_ point: Point) -> Bool {
    abs(point.x) <= PlotAxis.limit && abs(point.y) <= PlotAxis.limit
  }

  private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    let places = [x1, y1, x2, y2].map(MarkupText.place)
    return "<path class=\"mu-line\" d=\"M\(places[0]) \(places[1])L\(places[2]) \(places[3])\"/>\n"
  }

  // MARK: Curves

  private static func curve(_ series: Series, _ index: Int, _ place: (Point) -> Point) -> String {
    let color = index % PlotStyle.colorCount
    let dash = index < PlotStyle.colorCount ? "" : " mu-dashed"
    var text = ""
    for run in series.points.split(whereSeparator: { !isDrawn($0) }) where run.count > 1 {
      let places = thinned(run.map(place)).map { "\(MarkupText.place($0.x)),\(MarkupText.place($0.y))" }
      text += "<polyline class=\"mu-curve mu-s\(color)\(dash)\" points=\"\(places.joined(separator: " "))\"/>\n"
    }
    let runs = series.points.split { !isDrawn($0) }
    let dots = series.points.count <= dotLimit ? runs.flatMap { $0 } : runs.filter { $0.count == 1 }.flatMap { $0 }
    for point in dots.prefix(1000) {
      let (centre, name) = (place(point), MarkupText.cut(series.name, to: 40))
      let value = "\(name): \(MarkupText.number(point.y)) at \(MarkupText.number(point.x))"
      text += """
        <circle class="mu-d\(color)" cx="\(MarkupText.place(centre.x))" cy="\(MarkupText.place(centre.y))" r="2.5">\
        <title>\(MarkupText.escaped(value))</title></circle>

        """
    }
    return text
  }

  /// Of many points that share a column of pixels the first, the lowest, the highest and the last.
  private static func thinned(_ points: [Point]) -> [Point] {
    guard points.count > 2000 else { return points }
    var result: [Point] = []
    var start = points.startIndex
    while start < points.endIndex {
      let column = points[start].x.rounded(.down)
      let end = points[start...].firstIndex { $0.x.rounded(.down) != column } ?? points.endIndex
      let range = start..<end
      let low = range.min { points[$0].y < points[$1].y } ?? start
      let high = range.max { points[$0].y < points[$1].y } ?? start
      result += Set([start, low, high, end - 1]).sorted().map { points[$0] }
      start = end
    }
    return result
  }

  // MARK: Legend

  private typealias Entry = (index: Int, name: String, x: Double)

  /// The series' names in rows, as many in each as go into it.
  private func legendRows() -> [[Entry]] {
    var rows: [[Entry]] = []
    var x = Self.width
    for (index, series) in series.enumerated() {
      let name = MarkupText.cut(series.name, to: 40)
      let width = 44 + PlotStyle.width(of: name)
      if x + width > Self.width - 16 {
        rows.append([])
        x = 16
      }
      rows[rows.count - 1].append((index, name, x))
      x += width
    }
    return rows
  }

  private func drawn(_ legend: [[Entry]]) -> String {
    var text = ""
    for (row, entries) in legend.enumerated() {
      let y = Self.top + 20 * Double(row)
      for entry in entries {
        let dash = entry.index < PlotStyle.colorCount ? "" : " mu-dashed"
        let (start, end, height) = (MarkupText.place(entry.x), MarkupText.place(entry.x + 22), MarkupText.place(y))
        text += "<path class=\"mu-curve mu-s\(entry.index % PlotStyle.colorCount)\(dash)\" "
        text += "d=\"M\(start) \(height)L\(end) \(height)\"/>\n"
        text += PlotStyle.text(entry.name, x: entry.x + 28, y: y + 4)
      }
    }
    return text
  }
}
