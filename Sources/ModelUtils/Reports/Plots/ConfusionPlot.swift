import ModelCore

extension ConfusionMatrix {
  /// The most classes that can be drawn.
  public static let drawingLimit = 200

  /// The matrix as an SVG file: rows are true, columns predicted classes. A cell is the darker the larger its share of
  /// its row is, blue where the prediction is right and orange elsewhere. Up to 20 classes cells show their counts, and
  /// up to 40 a pointer that rests on one; of more classes some names are left out.
  /// - Parameter names: of the classes; where there are too few, their numbers.
  /// - Throws: `ModelError` for more classes than `drawingLimit`.
  public func svg(names: [String] = [], title: String = "Confusion matrix") throws -> String {
    try svg(names: names, title: title, isAlone: true)
  }

  /// Writes the drawing, whole or not at all.
  /// - Throws: as `svg`, and when it cannot be written.
  public func write(
    svg location: some FileLocation, names: [String] = [], title: String = "Confusion matrix"
  ) throws {
    let text = try svg(names: names, title: title)
    try AtomicFile.write(text, to: location)
  }

  func svg(names: [String], title: String, isAlone: Bool) throws -> String {
    guard classCount <= Self.drawingLimit else {
      throw ModelError(
        .limit, "a confusion matrix of \(classCount) classes cannot be drawn",
        advice: "up to \(Self.drawingLimit) can; mistakes(limit:) lists what matters in it")
    }
    let drawing = ConfusionDrawing(self, names: names)
    let heading = MarkupText.cut(title, to: 70)
    var content = PlotStyle.text(heading, x: 16, y: 24, class: "mu-title")
    content += drawing.labels()
    content += classCount <= 40 ? drawing.cells() : drawing.shades()
    return PlotStyle.svg(
      width: max(drawing.width, 32 + PlotStyle.width(of: heading, size: 15)), height: drawing.height, title: title,
      isAlone: isAlone, content)
  }

  /// The name of a class, or its number.
  static func name(_ index: Int, in names: [String]) -> String {
    index < names.count ? names[index] : String(index)
  }
}

/// Where the parts of a drawn matrix lie.
private struct ConfusionDrawing {
  let matrix: ConfusionMatrix
  let names: [String]
  let trueCounts: [Int]
  /// The side of a cell.
  let cell: Double
  /// The room that names take.
  let margin: Double
  let top: Double
  /// Every how many classes have a name.
  let stride: Int

  init(_ matrix: ConfusionMatrix, names: [String]) {
    let count = matrix.classCount
    self.matrix = matrix
    self.names = (0..<count).map { MarkupText.cut(ConfusionMatrix.name($0, in: names), to: 20) }
    trueCounts = matrix.trueCounts
    cell = min(56, max(4, (700 / Double(count)).rounded(.down)))
    margin = 40 + (self.names.map { PlotStyle.width(of: $0) }.max() ?? 0)
    top = 40 + margin
    stride = Int((13 / cell).rounded(.up))
  }

  var side: Double { cell * Double(matrix.classCount) }
  var width: Double { max(320, margin + side + 24) }
  var height: Double { top + side + 24 }

  func labels() -> String {
    var text = PlotStyle.text("true", x: 20, y: top + side / 2, anchor: "middle", turned: true)
    text += PlotStyle.text("predicted", x: margin + side / 2, y: 46, anchor: "middle")
    for index in Swift.stride(from: 0, to: matrix.classCount, by: stride) {
      let middle = (Double(index) + 0.5) * cell
      text += PlotStyle.text(names[index], x: margin - 6, y: top + middle + 4, anchor: "end")
      text += PlotStyle.text(names[index], x: margin + middle + 4, y: top - 6, turned: true)
    }
    let places = [margin - 0.5, top - 0.5, side + 1].map(MarkupText.place)
    text +=
      "<rect class=\"mu-line\" x=\"\(places[0])\" y=\"\(places[1])\" width=\"\(places[2])\" height=\"\(places[2])\"/>\n"
    return text
  }

  /// A rectangle for each cell that is not 0.
  func cells() -> String {
    var text = ""
    let side = MarkupText.place(cell)
    each { truth, prediction, count, level in
      let (x, y) = (margin + Double(prediction) * cell, top + Double(truth) * cell)
      let share = MarkupText.percent(Double(count) / Double(trueCounts[truth]))
      let title = "true \(names[truth]), predicted \(names[prediction]): \(count) (\(share))"
      text += """
        <rect class="\(truth == prediction ? "mu-right" : "mu-wrong")" x="\(MarkupText.place(x))" \
        y="\(MarkupText.place(y))" width="\(side)" height="\(side)" fill-opacity="\(opacity(level))">\
        <title>\(MarkupText.escaped(title))</title></rect>

        """
      if matrix.classCount <= 20, PlotStyle.width(of: String(count)) < cell {
        text += PlotStyle.text(
          String(count), x: x + cell / 2, y: y + cell / 2 + 4, anchor: "middle", class: level > 10 ? "mu-on" : "")
      }
    }
    return text
  }

  /// One shape for all cells of a shade.
  func shades() -> String {
    var shapes = [[String]](repeating: [], count: 42)
    let side = MarkupText.place(cell)
    each { truth, prediction, _, level in
      let (x, y) = (margin + Double(prediction) * cell, top + Double(truth) * cell)
      shapes[truth == prediction ? level : 21 + level].append(
        "M\(MarkupText.place(x)) \(MarkupText.place(y))h\(side)v\(side)h-\(side)z")
    }
    return shapes.enumerated().filter { !$1.isEmpty }.map { index, cells in
      "<path class=\"\(index < 21 ? "mu-right" : "mu-wrong")\" fill-opacity=\"\(opacity(index % 21))\" d=\"\(cells.joined())\"/>\n"
    }.joined()
  }

  /// The cells that are not 0, with their shares of their rows in twentieths, at least one.
  private func each(_ body: (_ truth: Int, _ prediction: Int, _ count: Int, _ level: Int) -> Void) {
    for truth in 0..<matrix.classCount where trueCounts[truth] > 0 {
      for prediction in 0..<matrix.classCount {
        let count = matrix[true: truth, predicted: prediction]
        guard count > 0 else { continue }
        body(truth, prediction, count, max(1, Int((20 * Double(count) / Double(trueCounts[truth])).rounded())))
      }
    }
  }

  /// Also a small share is seen.
  private func opacity(_ level: Int) -> String { MarkupText.place(0.12 + 0.88 * Double(level) / 20) }
}
