import ModelUtils
import SystemPackage

/// What a run says while it goes on: lines of text, or with `--json` an object for each step and each evaluation.
final class TrainingLines {
  private let report: ReportOptions
  /// Whether this is the rank that speaks.
  private let speaks: Bool
  private var progress: Progress?

  init(_ report: ReportOptions, speaks: Bool) { (self.report, self.speaks) = (report, speaks) }

  /// At once: a run takes its time.
  func note(_ text: String) {
    guard speaks else { return }
    report.note(text)
    Terminal.printNotes()
  }

  /// A line of text.
  func print(_ text: String) {
    if speaks, !report.json { Results.print(text) }
  }

  /// - Parameter place: the epoch as the table has it.
  func step(
    epoch: Int, _ place: String, done: Int, of count: Int, loss: Double, items: [String: Double], rates: some Encodable
  ) {
    guard speaks else { return }
    if report.json {
      let line = StepLine(step: (epoch - 1) * count + done, epoch: epoch, loss: loss, items: items, lr: rates)
      try? Results.print(json: line)
    }
    if progress == nil { progress = Progress("steps of epoch \(place)", of: count, isShown: !report.quiet) }
    progress?.reach(done, of: count)
    if done == count { finish() }
  }

  func judged(_ done: Int, of count: Int) {
    guard speaks else { return }
    if progress == nil { progress = Progress("pictures judged", of: count, isShown: !report.quiet) }
    progress?.reach(done, of: count)
    if done == count { finish() }
  }

  /// - Parameter metrics: how it did, where it was judged.
  func epoch(_ text: String, _ epoch: Int, _ metrics: (some Encodable)?) {
    guard speaks else { return }
    finish()
    if report.json {
      if let metrics { try? Results.print(json: MetricsLine(epoch: epoch, metrics: metrics)) }
    } else {
      Results.print(text)
    }
  }

  /// Clears the bar.
  func finish() {
    progress?.finish()
    progress = nil
  }
}

private struct StepLine<Rates: Encodable>: Encodable {
  let step, epoch: Int
  let loss: Double
  let items: [String: Double]
  let lr: Rates
}

private struct MetricsLine<Metrics: Encodable>: Encodable {
  let epoch: Int
  let metrics: Metrics
}

/// What `train --json` prints last: the files of the run.
struct TrainingEnd: Encodable {
  let best, last, results: String
  let isInterrupted: Bool

  init(_ folder: FilePath, isInterrupted: Bool) {
    (best, last) = (folder.appending("best.pt").string, folder.appending("last.pt").string)
    (results, self.isInterrupted) = (folder.appending("results.csv").string, isInterrupted)
  }

  private enum CodingKeys: String, CodingKey {
    case best, last, results
    case isInterrupted = "interrupted"
  }
}

extension ClassifierTraining.EpochResult {
  /// nil where nothing was judged.
  var metrics: ClassificationValReport.Metrics? {
    guard let top1, let top5, let loss else { return nil }
    return ClassificationValReport.Metrics(top1: top1, top5: top5, loss: loss)
  }
}

/// Epochs one under the other.
enum EpochLine {
  static let header = "   epoch  train loss  train top1   val loss  val top1  val top5       lr  seconds"

  static func line(_ result: ClassifierTraining.EpochResult, of count: Int) -> String {
    func share(_ value: Double?) -> String { value.map { CFormat.string("%9.2f", $0 * 100) + "%" } ?? "         -" }
    func loss(_ value: Double) -> String { CFormat.string(abs(value) < 1e5 ? "%11.4f" : "%11.3e", value) }
    let place = "\(result.epoch)/\(count)"
    return String(repeating: " ", count: max(0, 8 - place.count)) + place + " " + loss(result.trainLoss)
      + "  " + share(result.trainTop1) + (result.loss.map(loss) ?? "          -") + share(result.top1)
      + share(result.top5) + CFormat.string("%9.2g%9.1f", result.learningRate, result.seconds)
  }
}

/// A detector's epochs as YOLOv6 shows them, and what an evaluation found.
enum DetectorLine {
  static func header(_ items: [String]) -> String {
    (["Epoch"] + items).map { CFormat.string("%10s", $0) }.joined()
  }

  /// YOLOv6 counts from 0.
  static func place(_ epoch: Int, of count: Int) -> String { "\(epoch - 1)/\(count - 1)" }

  static func line(_ result: DetectorTraining.EpochResult, of count: Int) -> String {
    let line =
      CFormat.string("%10s", place(result.epoch, of: count))
      + result.items.map { CFormat.string("%10.4g", $0.value) }.joined()
    guard let scores = result.scores else { return line }
    return line + "\nEpoch: \(result.epoch - 1) | "
      + CFormat.string("mAP@0.5: %.4f | mAP@0.50:0.95: %.4f", scores.averagePrecision50, scores.averagePrecision)
  }
}
