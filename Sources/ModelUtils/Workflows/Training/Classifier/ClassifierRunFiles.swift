import ModelCore
import ModelData
import ModelImages
import ModelReports
import SystemPackage

/// What a run leaves for people to look at: `args.yaml`, `results.csv`, TensorBoard's events, `report.html`.
struct ClassifierRunFiles {
  private let folder: FilePath
  private let options: ClassifierTrainingOptions
  private let set: ClassificationSet
  private let results: ResultsFile
  private let events: EventWriter

  static let columns = ["epoch", "train_loss", "train_top1", "loss", "top1", "top5", "lr", "seconds"]

  /// - Parameter epoch: how many epochs are done: what stands in the table beyond them is left out.
  init(_ folder: FilePath, _ options: ClassifierTrainingOptions, _ set: ClassificationSet, through epoch: Int) throws {
    (self.folder, self.options, self.set) = (folder, options, set)
    let table = folder.appending("results.csv")
    results =
      FileFolder.exists(table)
      ? try ResultsFile(resuming: table, columns: Self.columns, through: epoch)
      : try ResultsFile(creating: table, columns: Self.columns)
    events = try EventWriter(folder: folder)
    let text = arguments.map { "\($0): \($1)\n" }.joined()
    try AtomicFile.write(text, to: folder.appending(RunArguments.fileName))
  }

  private var arguments: [(String, String)] {
    [("data", "\"\(set.name.escapedForJSON)\"")] + options.entries + [
      ("threads", "\(RunArguments.lastingThreadCount(folder))")
    ]
  }

  func add(_ result: ClassifierTraining.EpochResult) throws {
    let values: [(tag: String, value: Double?)] = [
      ("train/loss", result.trainLoss), ("train/top1", result.trainTop1), ("val/loss", result.loss),
      ("val/top1", result.top1), ("val/top5", result.top5), ("x/lr", result.learningRate),
    ]
    try results.append([Double(result.epoch)] + values.map(\.value) + [result.seconds])
    for (tag, value) in values {
      if let value { try events.add(scalar: tag, value, step: result.epoch) }
    }
    try events.flush()
  }

  /// The page about the run so far.
  /// - Parameter judged: the set that was judged last.
  func report(best: Double?, judged: ClassificationSet?, _ scores: ClassificationScores?) throws {
    let table = results.table
    guard let epochs = table["epoch"], !epochs.isEmpty else { return }
    var page = RunReport(title: "\(options.model) on \(set.name)")
    page.figures = [
      .init("epochs", "\(epochs.count) of \(options.epochs)"), .init("pictures", "\(set.count)"),
      .init("classes", "\(set.classNames.count)"),
    ]
    if let best { page.figures.append(.init("best top1", "\(CFormat.string("%.2f", best * 100)) %")) }
    page.arguments = arguments.map { .init($0, $1) }
    let hasScores = table["loss"]?.contains { $0 != nil } == true
    page.plots = [
      try LinePlot(table, columns: ["train_loss"] + (hasScores ? ["loss"] : []), title: "loss"),
      try LinePlot(table, columns: ["train_top1"] + (hasScores ? ["top1", "top5"] : []), title: "accuracy"),
      try LinePlot(table, columns: ["lr"], title: "learning rate"),
    ]
    if let judged, let scores {
      var confusion = try ConfusionMatrix(classCount: judged.classNames.count)
      try confusion.add(true: judged.labels, predicted: scores.predictions)
      page.confusion = confusion
      page.occasion = "after epoch \(epochs.count)"
      page.classNames = judged.classNames
      page.pictures = try pictures(judged, scores)
    }
    try page.write(to: folder.appending("report.html"))
  }

  /// Some of the pictures, those that were taken for another class first.
  private func pictures(_ set: ClassificationSet, _ scores: ClassificationScores) throws -> [RunReport.Picture] {
    let wrong = scores.predictions.indices.filter { scores.predictions[$0] != set.labels[$0] }
    let right = scores.predictions.indices.filter { scores.predictions[$0] == set.labels[$0] }
    return try (wrong.prefix(24) + right.prefix(12)).map { index in
      let picture = try set.picture(index)
      let colours =
        picture.shape[2] == 3
        ? picture
        : try Tensor(
          picture.storage, dtype: .uint8, shape: [picture.shape[0], picture.shape[1], 3],
          strides: [picture.strides[0], picture.strides[1], 0], byteOffset: picture.byteOffset)
      return RunReport.Picture(
        try ImageFile(pixels: colours), truth: set.classNames[set.labels[index]],
        prediction: set.classNames[scores.predictions[index]])
    }
  }
}

extension ClassifierTrainingOptions {
  /// Names and values as YAML has them.
  var entries: [(String, String)] {
    func text(_ value: String) -> String { "\"\(value.escapedForJSON)\"" }
    func number(_ value: Double?) -> String { value.map { "\($0)" } ?? "null" }
    return [
      ("model", text(model)), ("pretrained", pretrained.map(text) ?? "null"), ("epochs", "\(epochs)"),
      ("batch_size", "\(batchSize)"), ("image_size", imageSize.map { "\($0)" } ?? "null"),
      ("optimizer", optimizer.rawValue), ("lr", number(initialLearningRate)), ("momentum", number(momentum)),
      ("nesterov", "\(nesterov)"), ("weight_decay", number(weightDecay)), ("schedule", schedule.rawValue),
      ("final_share", number(finalShare)), ("warmup_epochs", number(warmupEpochs)),
      ("label_smoothing", number(labelSmoothing)), ("clip_norm", number(clipNorm)), ("ema", number(ema)),
      ("checkpoint_activations", "\(checkpointsActivations)"), ("precision", precision.rawValue),
      ("sync_batch_norm", "\(synchronizesBatchNorms)"),
      ("augments", "\(augments)"), ("seed", "\(seed)"),
    ]
  }
}

extension String {
  /// Between quotation marks.
  var escapedForJSON: String {
    unicodeScalars.map { scalar in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      case let control where control.value < 0x20 || control.value == 0x7f:
        "\\u" + CFormat.string("%04x", Int(control.value))
      default: String(scalar)
      }
    }.joined()
  }
}
