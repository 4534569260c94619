import ModelCore
import ModelDetection
import ModelReports

extension DetectionScores {
  /// A curve of all classes.
  public struct Curve: Sendable {
    /// What the originals call its picture, such as `PR_curve`.
    public let name: String
    /// The drawing.
    public let plot: LinePlot
  }

  /// Of more classes only the mean is drawn.
  private static let drawnClasses = 20
  /// Every how many of the curves' 1000 places are drawn.
  private static let step = 3

  /// Precision over recall at an overlap of 0.5, and F1, precision and recall over the confidence: of each class that has
  /// truths, up to 20, and of all.
  public var plots: [Curve] {
    let form = "\(curves.classes.count == 1 ? "1 class" : "\(curves.classes.count) classes")"
    func plot(
      _ name: String, _ title: String, _ xLabel: String, _ yLabel: String, _ mean: String,
      _ values: (ClassCurve) -> [Double], _ ofClass: (ClassScores) -> String
    ) -> Curve {
      var series: [LinePlot.Series] = []
      let scores = classes
      if curves.classes.count <= Self.drawnClasses, curves.classes.count > 1 {
        series = zip(curves.classes, scores).map { Self.series(ofClass($1), values($0)) }
      }
      series.append(Self.series("all: \(mean)", self.mean(values)))
      return Curve(
        name: name, plot: LinePlot(title: "\(title), \(form)", xLabel: xLabel, yLabel: yLabel, series: series))
    }
    func rounded(_ value: Double) -> String { CFormat.string("%.3f", value) }
    let best = "\(rounded(f1)) at \(rounded(curves.best.confidence))"
    let points = [curves.point(at: 0), curves.point(at: DetectionCurves.confidences.count - 1)]
    return [
      plot(
        "PR_curve", "Precision over recall", "recall", "precision", "\(rounded(averagePrecision50)) mAP50",
        \.precisionByRecall, { "\($0.className) \(rounded($0.averagePrecision50))" }),
      plot("F1_curve", "F1", "confidence", "F1", best, \.f1, \.className),
      plot(
        "P_curve", "Precision", "confidence", "precision",
        "\(rounded(points[1].precision)) at \(rounded(points[1].confidence))", \.precision, \.className),
      plot(
        "R_curve", "Recall", "confidence", "recall",
        "\(rounded(points[0].recall)) at \(rounded(points[0].confidence))", \.recall, \.className),
    ]
  }

  private func mean(_ values: (ClassCurve) -> [Double]) -> [Double] {
    var sums = [Double](repeating: 0, count: DetectionCurves.confidences.count)
    for curve in curves.classes {
      for (place, value) in values(curve).enumerated() { sums[place] += value }
    }
    return sums.map { $0 / Double(max(1, curves.classes.count)) }
  }

  private static func series(_ name: String, _ values: [Double]) -> LinePlot.Series {
    LinePlot.Series(
      name,
      points: stride(from: 0, to: values.count, by: step).map {
        LinePlot.Point(DetectionCurves.confidences[$0], values[$0])
      })
  }

  /// The confusion matrix with the background as its last class; nil where there are too many classes.
  public var confusionMatrix: ConfusionMatrix? {
    guard let confusion, confusion.classCount < ConfusionMatrix.classLimit,
      var matrix = try? ConfusionMatrix(classCount: confusion.classCount + 1)
    else { return nil }
    let side = confusion.classCount + 1
    for (index, count) in confusion.counts.enumerated() where count > 0 {
      try? matrix.add(true: index % side, predicted: index / side, count: count)
    }
    return matrix
  }

  /// A page with the figures, a table by class, the curves and the confusion matrix.
  /// - Parameter arguments: what the page says of the model and the set.
  public func page(title: String, arguments: [RunReport.Entry] = []) -> RunReport {
    func percent(_ value: Double) -> String { value < 0 ? "-" : CFormat.string("%.2f%%", value * 100) }
    var page = RunReport(
      title: title,
      figures: [
        .init("mAP50", percent(averagePrecision50)), .init("mAP50-95", percent(averagePrecision)),
        .init("precision", percent(precision)), .init("recall", percent(recall)), .init("F1", percent(f1)),
      ],
      arguments: arguments + validation.entries, plots: plots.map(\.plot), confusion: confusionMatrix,
      classNames: classNames + ["background"])
    page.occasion = "at a confidence of \(validation.confusionConfidence)"
    page.tables = [
      .init(
        title: "By class",
        columns: ["class", "pictures", "instances", "precision", "recall", "F1", "mAP50", "mAP50-95"],
        rows: classes.map { item in
          [item.className, "\(item.pictureCount)", "\(item.instanceCount)"]
            + [item.precision, item.recall, item.f1, item.averagePrecision50, item.averagePrecision].map(percent)
        }),
      .init(
        title: "COCO's figures", columns: ["figure", "value"],
        rows: zip(COCOEvaluation.Figures.names, figures.values).map { [$0, percent($1)] }),
    ]
    return page
  }
}

extension DetectorValidation {
  /// Names and values, as a page lists them.
  var entries: [RunReport.Entry] {
    [
      .init("rules", rules.rawValue), .init("image_size", "\(imageSize)"), .init("batch_size", "\(batchSize)"),
      .init("confidence", "\(confidence)"), .init("iou", "\(overlap)"), .init("max_detections", "\(limit)"),
      .init("rectangles", "\(isRectangular)"),
    ]
  }
}
