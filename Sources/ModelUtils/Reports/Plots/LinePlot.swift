import ModelCore

/// Curves over epochs or steps, drawn as SVG: several series, axes with round numbers, a legend.
///
/// The drawing follows the viewer's light or dark mode and needs no script.
public struct LinePlot: Sendable, Hashable {
  /// A curve.
  public struct Series: Sendable, Hashable {
    /// What the legend says.
    public var name: String
    /// From left to right, as they are joined. A point with NaN, or a number beyond ±1e300, is a gap.
    public var points: [Point]

    /// A curve through points.
    public init(_ name: String, points: [Point]) { (self.name, self.points) = (name, points) }

    /// A curve of values at 0, 1, 2 …; nil is a gap.
    public init(_ name: String, values: [Double?]) {
      self.init(name, points: values.enumerated().map { Point(Double($0), $1 ?? .nan) })
    }
  }

  /// A pair of values.
  public struct Point: Sendable, Hashable {
    /// The epoch or step.
    public var x: Double
    /// What was measured there.
    public var y: Double

    /// A pair of values.
    public init(_ x: Double, _ y: Double) { (self.x, self.y) = (x, y) }
  }

  /// What stands above the plot.
  public var title: String
  /// What stands below the horizontal axis.
  public var xLabel: String
  /// What stands beside the vertical axis; empty for nothing.
  public var yLabel: String
  /// The curves.
  public var series: [Series]

  /// A plot of curves.
  public init(title: String, xLabel: String = "epoch", yLabel: String = "", series: [Series]) {
    (self.title, self.xLabel, self.yLabel, self.series) = (title, xLabel, yLabel, series)
  }

  /// Columns of a table over another one; what was not measured is left out, so that curves that are measured every few
  /// epochs are joined, while a NaN is a gap.
  /// - Throws: `ModelError` for a name that is no column's.
  public init(_ table: ResultsTable, columns: [String], over xColumn: String = "epoch", title: String) throws {
    func values(_ name: String) throws -> [Double?] {
      guard let values = table[name] else { throw ModelError(.missing, "is no column of the table", subject: name) }
      return values
    }
    let places = try values(xColumn)
    self.init(
      title: title, xLabel: xColumn,
      series: try columns.map { name in
        Series(
          name,
          points: zip(places, try values(name)).compactMap { x, y in
            if let x, let y { Point(x, y) } else { nil }
          })
      })
  }

  /// The drawing as a file of its own.
  public func svg() -> String { svg(isAlone: true) }

  /// Writes the drawing, whole or not at all.
  /// - Throws: `ModelError` when it cannot be written.
  public func write(to location: some FileLocation) throws {
    try AtomicFile.write(svg(), to: location)
  }
}
