import ModelCore
import ModelImages

/// What a training run shows to people: one HTML page that needs nothing else, neither network nor script, readable in
/// light and dark mode.
public struct RunReport: Sendable {
  /// The page's heading.
  public var title: String
  /// Figures that stand first, such as the best accuracy.
  public var figures: [Entry]
  /// The arguments of the run.
  public var arguments: [Entry]
  /// Tables of texts, such as figures by class.
  public var tables: [Table] = []
  /// The curves.
  public var plots: [LinePlot]
  /// Which classes were taken for which; nil for no such part.
  public var confusion: ConfusionMatrix?
  /// The names of the matrix's classes; where there are too few, their numbers.
  public var classNames: [String]
  /// When classes and pictures were judged, such as "after epoch 3"; empty for nothing said.
  public var occasion = ""
  /// Pictures with what was predicted for them.
  public var pictures: [Picture]

  /// A name and its value, as text.
  public struct Entry: Sendable, Hashable {
    /// What it is.
    public var name: String
    /// How much, or which.
    public var value: String

    /// A name and its value.
    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  }

  /// Rows of texts under a heading.
  public struct Table: Sendable, Hashable {
    /// What it shows.
    public var title: String
    /// What stands above each column.
    public var columns: [String]
    /// As many texts as there are columns, each.
    public var rows: [[String]]

    /// Rows of texts under a heading.
    public init(title: String, columns: [String], rows: [[String]]) {
      (self.title, self.columns, self.rows) = (title, columns, rows)
    }
  }

  /// A picture with its true and its predicted class.
  public struct Picture: Sendable {
    /// The picture; a smaller copy of it goes into the page.
    public var picture: ImageFile
    /// The name of its class.
    public var truth: String
    /// The name of the class that was predicted.
    public var prediction: String
    /// How sure the model was, 0 to 1; nil for nothing said.
    public var confidence: Double?

    /// A picture with its true and its predicted class.
    public init(_ picture: ImageFile, truth: String, prediction: String, confidence: Double? = nil) {
      (self.picture, self.truth, self.prediction, self.confidence) = (picture, truth, prediction, confidence)
    }
  }

  /// No page is larger than this, in bytes.
  public static let sizeLimit = 2_000_000

  /// A report; parts that are empty are left out of the page.
  public init(
    title: String, figures: [Entry] = [], arguments: [Entry] = [], plots: [LinePlot] = [],
    confusion: ConfusionMatrix? = nil, classNames: [String] = [], pictures: [Picture] = []
  ) {
    self.title = title
    (self.figures, self.arguments, self.plots) = (figures, arguments, plots)
    (self.confusion, self.classNames, self.pictures) = (confusion, classNames, pictures)
  }

  /// The page. Pictures are made smaller until they fit, and where the smallest do not, the last are left out, which
  /// the page says. So it does where a matrix has too many classes to be drawn.
  /// - Throws: `ModelError` when it would be larger than `sizeLimit` without pictures.
  public func html() throws -> String {
    let start = try PageText.start(title) + entries() + listed() + curves() + matrix()
    let room = Self.sizeLimit - 10_000 - start.utf8.count
    guard room >= 0 else {
      throw ModelError(
        .limit, "the page would have more than \(Self.sizeLimit) bytes",
        advice: "give it fewer plots, or write plots by themselves")
    }
    return try start + PictureGrid(pictures).html(room: room, title: heading("Pictures")) + PageText.end
  }

  /// Writes the page, whole or not at all.
  /// - Throws: as `html`, and when it cannot be written.
  public func write(to location: some FileLocation) throws {
    let text = try html()
    try AtomicFile.write(text, to: location)
  }

  // MARK: Parts

  private func entries() -> String {
    var text = ""
    if !figures.isEmpty { text += PageText.figures(figures) }
    if !arguments.isEmpty {
      let rows = arguments.map { [PageText.value($0.name), PageText.value($0.value)] }
      text += PageText.part("Arguments", PageText.table(["argument", "value"], rows))
    }
    return text
  }

  private func listed() -> String {
    tables.filter { !$0.rows.isEmpty }.map { table in
      PageText.part(
        MarkupText.cut(table.title, to: 500),
        PageText.table(table.columns.map(PageText.value), table.rows.map { $0.map(PageText.value) }))
    }.joined()
  }

  private func curves() -> String {
    if plots.isEmpty { return "" }
    let drawings = plots.map { "<figure>\n\($0.svg(isAlone: false))</figure>\n" }
    return PageText.part("Curves", "<div class=\"plots\">\n\(drawings.joined())</div>\n")
  }

  private func heading(_ title: String) -> String { occasion.isEmpty ? title : "\(title) \(occasion)" }

  private func matrix() throws -> String {
    guard let confusion else { return "" }
    func name(_ index: Int) -> String { PageText.value(ConfusionMatrix.name(index, in: classNames)) }
    var text = ""
    if confusion.classCount <= ConfusionMatrix.drawingLimit {
      let drawing = try confusion.svg(
        names: classNames, title: "\(confusion.correct) of \(confusion.total) right", isAlone: false)
      text += "<figure class=\"wide\">\n\(drawing)</figure>\n"
    } else {
      text += "<p>A matrix of \(confusion.classCount) classes is too large to be drawn.</p>\n"
    }
    let mistakes = confusion.mistakes(limit: 20)
    if !mistakes.isEmpty {
      let rows = mistakes.map { [name($0.truth), name($0.prediction), String($0.count)] }
      text += PageText.folded("The most frequent mistakes", PageText.table(["true", "predicted", "times"], rows))
    }
    let (trueCounts, precision, recall) = (confusion.trueCounts, confusion.precision, confusion.recall)
    let rows = (0..<min(confusion.classCount, ConfusionMatrix.classLimit)).map { index in
      [
        name(index), String(trueCounts[index]), MarkupText.percent(precision[index]),
        MarkupText.percent(recall[index]),
      ]
    }
    text += PageText.folded("Each class", PageText.table(["class", "samples", "precision", "recall"], rows))
    return PageText.part(heading("Classes") + ": \(MarkupText.percent(confusion.accuracy)) right", text)
  }
}
