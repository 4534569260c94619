import ArgumentParser
import ModelUtils
import SystemPackage

struct Val: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "val",
    abstract: "Judges a classifier or a detector on a set of pictures.",
    discussion: """
      A classifier is a run's best.pt or last.pt, or any whose forward is known and whose outputs are the set's classes; its DATA is what \
      'train' takes. Of a set with training and validation pictures the latter are taken.

      A detector is any that 'detect' takes, of upright boxes; its DATA is a YOLO data.yaml, or COCO's .json of instances with --pictures. \
      It is judged by the rules and settings of the validation of the program that it is from: YOLOv5, YOLOv6 (whose mAP is COCO's), \
      YOLOv7, YOLOv9's repository, or Ultralytics. With -o the curves, the confusion matrix and a page with all are written.

      Examples:
        mutils val runs/first/best.pt pictures
        mutils val resnet50.pt imagenet/val --image-size 224
        mutils val yolov5s.pt coco128.yaml -o judged
        mutils val yolo11n.pt instances_val2017.json --pictures val2017 --coco found.json
      """)

  @Argument(help: "The classifier or detector.", completion: .file())
  var model: String

  @Argument(help: "The pictures with their classes or boxes.", completion: .file())
  var data: String

  @OptionGroup var report: ReportOptions

  @Option(help: ArgumentHelp("classify or detect. Default: what the model does.", valueName: "task"))
  var task: ValTask?

  @Option(
    help: ArgumentHelp(
      "Which pictures of the set: train, val or test. Default: val.", valueName: "part"))
  var split: DetectionDescription.Part?

  @Option(
    help: ArgumentHelp(
      "What the network sees. Default: what it was trained with, or 224; of a detector the longer side, 640.",
      valueName: "size"))
  var imageSize: ImageSize?

  @Option(
    help: ArgumentHelp(
      "Pictures at once. Default: 64; of a detector its original's, 32 or 16.", valueName: "n"))
  var batchSize: Int?

  @OptionGroup(title: "Options of detectors") var detection: DetectorArguments

  func validate() throws {
    if let batchSize, !(1...1 << 16).contains(batchSize) {
      throw ValidationError("--batch-size takes 1 to \(1 << 16)")
    }
    if task == .classify, let given = detection.firstGiven {
      throw ValidationError("\(given) is for detectors.")
    }
  }

  func run() throws {
    try report.withThreads {
      let checkpoint = try ModelSource.open(model, reading: .preferred)
      let module = try checkpoint.computableModule(report.talk)
      switch task ?? (module.isDetector || detection.firstGiven != nil || describesBoxes ? .detect : .classify) {
      case .classify: try classify(checkpoint, module)
      case .detect:
        try DetectorJudging(self).run(module, trained: checkpoint.trainedSize.map { [$0.height, $0.width] })
      }
    }
  }

  /// Whether DATA is a file that only sets with boxes have.
  private var describesBoxes: Bool {
    let path = FilePath(data)
    return path.extension?.lowercased() == "json" || (try? DetectionDescription.file(at: path)) != nil
  }

  private func classify(_ checkpoint: Checkpoint, _ module: Module) throws {
    let sets = try ClassificationSets(contentsOf: data)
    if split == .test {
      throw ModelError(.unsupported, "pictures with classes are train and val", file: data, advice: "leave --split out")
    }
    let set = split == .train ? sets.training : sets.validation ?? sets.training
    if split == .val, sets.validation == nil { throw ModelError(.missing, "has no validation pictures", file: data) }
    let trained = try ClassifierTrainingOptions(of: checkpoint)
    let size = imageSize.map { [$0.height, $0.width] } ?? trained?.imageSize
    if let learned = LearnedClasses(checkpoint), learned.names != set.classNames {
      noteNames(learned.names, set.classNames)
    }
    let progress = Progress("pictures", of: set.count, isShown: !report.quiet)
    let scores: ClassificationScores
    do {
      scores = try module.evaluate(
        on: set, try .evaluation(of: set, imageSize: size), batchSize: batchSize ?? 64
      ) { progress.reach($0, of: set.count) }
    } catch let error as ModelError { throw error.file == nil ? error.inFile(model) : error }
    progress.finish()
    if report.json {
      try Results.print(json: ClassificationValReport(scores, set))
      return
    }
    Results.print(
      "\(scores.count) pictures: top1 \(CFormat.string("%.2f", scores.top1 * 100)) %, "
        + "top5 \(CFormat.string("%.2f", scores.top5 * 100)) %, loss \(CFormat.string("%.4f", scores.loss))")
  }

  func noteNames(_ model: [String], _ set: [String]) {
    report.note(
      "the model's classes are called \(Text.list(model)), the set's \(Text.list(set)): they are taken in this order")
  }
}

/// What a model is judged as.
enum ValTask: String, Choice, Encodable { case classify, detect }

extension DetectionDescription.Part: Choice {}

/// What `val --json` prints of a classifier.
struct ClassificationValReport: Encodable {
  struct Metrics: Encodable { let top1, top5, loss: Double }

  let task = ValTask.classify
  let metrics: Metrics
  let count: Int
  let names: [String]
  let confusion: [[Int]]

  init(_ scores: ClassificationScores, _ set: ClassificationSet) {
    metrics = Metrics(top1: scores.top1, top5: scores.top5, loss: scores.loss)
    (count, names, confusion) = (scores.count, set.classNames, scores.confusion)
  }
}
