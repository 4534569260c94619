import ArgumentParser
import ModelUtils

struct Val: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "val",
    abstract: "Judges a classifier on pictures with classes.",
    discussion: """
      MODEL is a run's best.pt or last.pt, or any classifier whose forward is known and whose outputs are the set's classes. Of a set \
      with training and validation pictures the latter are taken.

      Examples:
        mutils val runs/first/best.pt pictures
        mutils val resnet50.pt imagenet/val --image-size 224
      """)

  @Argument(help: "The classifier.", completion: .file())
  var model: String

  @Argument(help: "The pictures with their classes, as 'train' takes them.", completion: .file())
  var data: String

  @OptionGroup var report: ReportOptions

  @Option(help: ArgumentHelp("What the network sees. Default: what it was trained with, or 224.", valueName: "size"))
  var imageSize: ImageSize?

  @Option(help: ArgumentHelp("Pictures at once.", valueName: "n"))
  var batchSize = 64

  @Flag(help: "Judge the training pictures.")
  var training = false

  func validate() throws {
    guard (1...1 << 20).contains(batchSize) else { throw ValidationError("--batch-size takes 1 to 1048576") }
  }

  func run() throws {
    try report.withThreads {
      let sets = try ClassificationSets(contentsOf: data)
      let set = training ? sets.training : sets.validation ?? sets.training
      let checkpoint = try ModelSource.open(model)
      let module = try checkpoint.computableModule(report.talk)
      let trained = try TrainingOptions(of: checkpoint)
      let size = imageSize.map { [$0.height, $0.width] } ?? trained?.imageSize
      if let learned = LearnedClasses(checkpoint), learned.names != set.classNames {
        report.note(
          "the model's classes are called \(Text.list(learned.names)), the set's \(Text.list(set.classNames)): they are taken in this order"
        )
      }
      let progress = Progress("pictures", of: set.count, isShown: !report.quiet)
      let scores: ClassificationScores
      do {
        scores = try module.evaluate(
          on: set, try .evaluation(of: set, imageSize: size), batchSize: batchSize
        ) { progress.reach($0, of: set.count) }
      } catch let error as ModelError { throw error.file == nil ? error.inFile(model) : error }
      progress.finish()
      if report.json {
        try Terminal.print(json: ValidationReport(scores, set))
        return
      }
      Terminal.print(
        "\(scores.count) pictures: top1 \(CFormat.string("%.2f", scores.top1 * 100)) %, "
          + "top5 \(CFormat.string("%.2f", scores.top5 * 100)) %, loss \(CFormat.string("%.4f", scores.loss))")
    }
  }
}

/// What `val --json` prints.
struct ValidationReport: Encodable {
  let count: Int
  let loss, top1, top5: Double
  let names: [String]
  let confusion: [[Int]]

  init(_ scores: ClassificationScores, _ set: ClassificationSet) {
    (count, loss, top1, top5) = (scores.count, scores.loss, scores.top1, scores.top5)
    (names, confusion) = (set.classNames, scores.confusion)
  }
}
