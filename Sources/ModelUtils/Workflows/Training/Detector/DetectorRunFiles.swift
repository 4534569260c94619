import ModelCore
import ModelData
import ModelDetection
import ModelImages
import ModelReports
import SystemPackage

/// What a detector's run leaves for people to look at: `args.yaml`, `results.csv`, TensorBoard's events, `report.html`.
struct DetectorRunFiles {
  private let folder: FilePath
  private let options: DetectorTrainingOptions
  private let set: DetectionSet
  private let items: [String]
  private let results: ResultsFile
  private let events: EventWriter

  private static let rates = ["lr0", "lr1", "lr2"]
  private static let scores = ["map50", "map", "precision", "recall"]

  /// - Parameters:
  ///   - items: the names of the loss's parts.
  ///   - epoch: how many epochs are done: what stands in the table beyond them is left out.
  init(
    _ folder: FilePath, _ options: DetectorTrainingOptions, _ set: DetectionSet, items: [String], through epoch: Int
  ) throws {
    (self.folder, self.options, self.set, self.items) = (folder, options, set, items)
    let table = folder.appending("results.csv")
    let columns = ["epoch", "step"] + items + Self.rates + Self.scores + ["seconds"]
    results =
      FileFolder.exists(table)
      ? try ResultsFile(resuming: table, columns: columns, through: epoch)
      : try ResultsFile(creating: table, columns: columns)
    events = try EventWriter(folder: folder)
    let text = arguments.map { "\($0): \($1)\n" }.joined()
    try AtomicFile.write(text, to: folder.appending(RunArguments.fileName))
  }

  private var arguments: [(String, String)] {
    [("data", "\"\(set.name.escapedForJSON)\"")] + options.entries + [
      ("threads", "\(RunArguments.lastingThreadCount(folder))")
    ]
  }

  /// The first batch as the network sees it, `train_batch`.
  func add(first batch: DetectionBatch) throws {
    let picture = try BatchPicture.picture(of: batch, classNames: set.classNames)
    try events.add(image: "train_batch", picture, step: 1)
    try events.flush()
  }

  /// - Parameter step: how many batches there were in all.
  func add(_ result: DetectorTraining.EpochResult, step: Int) throws {
    let scores = result.scores
    let found: [Double?] = [
      scores?.averagePrecision50, scores?.averagePrecision, scores?.precision, scores?.recall,
    ]
    let rates = (0..<Self.rates.count).map {
      result.learningRates.indices.contains($0) ? result.learningRates[$0] : nil
    }
    try results.append(
      [Double(result.epoch), Double(step)] + result.items.map(\.value) + rates + found + [result.seconds])
    let values: [(String, Double?)] =
      [("val/mAP@0.5", found[0]), ("val/mAP@0.50:0.95", found[1])]
      + result.items.map { (Self.tag(of: $0.name), $0.value) } + zip(Self.rates, rates).map { ("x/\($0)", $1) }
    for (tag, value) in values {
      if let value { try events.add(scalar: tag, value, step: result.epoch) }
    }
    try events.flush()
  }

  private static func tag(of item: String) -> String {
    item == "dfl_loss" ? "train/dist_focalloss" : "train/\(item)"
  }

  /// The page about the run so far, and the first pictures with what is found in them.
  /// - Parameters:
  ///   - judged: the set that was judged last.
  ///   - scores: nil where it was not judged now; the page then stays as it is.
  func report(best: Double?, _ judged: DetectionSet?, _ scores: DetectionScores?) throws {
    guard scores != nil || judged == nil else { return }
    let table = results.table
    guard let epochs = table["epoch"], !epochs.isEmpty else { return }
    var page = RunReport(title: "\(options.model) on \(set.name)")
    page.figures = [
      .init("epochs", "\(epochs.count) of \(options.epochs)"), .init("pictures", "\(set.count)"),
      .init("classes", "\(set.classNames.count)"),
    ]
    if let best { page.figures.append(.init("best mAP50-95", CFormat.string("%.4f", best))) }
    page.arguments = arguments.map { .init($0, $1) }
    page.plots = [
      try LinePlot(table, columns: items, title: "loss"),
      try LinePlot(table, columns: Self.rates, title: "learning rate"),
    ]
    if let judged, let scores {
      page.plots.insert(try LinePlot(table, columns: Self.scores, title: "validation"), at: 1)
      page.plots += scores.plots.map(\.plot)
      page.confusion = scores.confusionMatrix
      page.classNames = judged.classNames + ["background"]
      page.occasion = "after epoch \(epochs.count)"
      let pictures = try JudgedPictures(judged, scores, limit: 8)
      for (index, picture) in pictures.pictures.enumerated() {
        try events.add(image: "val_img_\(index + 1)", picture.picture, step: epochs.count)
      }
      try events.flush()
      page.pictures = pictures.pictures
    }
    try page.write(to: folder.appending("report.html"))
  }
}

/// The first pictures of a set with what was found in them, as YOLOv6 shows them: scores of 0.3 and more, six of each at
/// the most.
private struct JudgedPictures {
  private(set) var pictures: [RunReport.Picture] = []

  init(_ set: DetectionSet, _ scores: DetectionScores, limit: Int) throws {
    var found: [Int: [DetectionPrediction]] = [:]
    for prediction in scores.predictions where prediction.picture < limit {
      found[prediction.picture, default: []].append(prediction)
    }
    for index in 0..<min(limit, set.count) {
      let surest = found[index, default: []].sorted { $0.score > $1.score }.prefix(6).filter { $0.score >= 0.3 }
      let detections = surest.map { prediction in
        Detection(
          classIndex: prediction.classIndex, className: set.classNames[prediction.classIndex],
          score: Float(prediction.score),
          box: Box(
            Float(prediction.x), Float(prediction.y), Float(prediction.x + prediction.width),
            Float(prediction.y + prediction.height)))
      }
      let picture = try drawn(detections, on: ImageFile(pixels: set.picture(index)))
      let truths = set.samples[index].labels.count
      pictures.append(
        RunReport.Picture(
          picture, truth: truths == 1 ? "1 box" : "\(truths) boxes", prediction: "\(detections.count) found"))
    }
  }
}
