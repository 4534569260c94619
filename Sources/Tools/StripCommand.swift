import ArgumentParser
import ModelUtils
import SystemPackage

struct Strip: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "strip",
    abstract: "Makes a training checkpoint one for inference, as YOLO's strip_optimizer.",
    discussion: """
      The average takes the model's place, wherever it stands; the states of optimizers, schedulers and scalers go, and epoch becomes -1; \
      the model becomes float16, requires no gradients and loads on any device. Finite numbers that float16 cannot hold are an error that \
      names them.

      Of an ONNX model it takes out what no runtime needs: doc strings, exporters' entries such as stack traces, initializers that nothing uses.

      Example: mutils strip runs/train/exp/weights/last.pt -o model.pt
      """)

  @Argument(
    help: "The training checkpoint, or - for standard input; several are done one after the other.",
    completion: .file())
  var checkpoints: [String]

  @Option(help: "The element type of the result: float16, bfloat16 or float32.")
  var dtype = Precision.float16

  @Flag(help: "Let finite numbers become infinite.")
  var allowOverflow = false

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions
  @OptionGroup var verification: VerifyOptions

  enum Precision: String, Choice {
    case float16, bfloat16, float32

    var dtype: DType { DType(rawValue: rawValue) ?? .float16 }
  }

  func validate() throws {
    try verification.requireVerify()
    try output.check(for: checkpoints)
  }

  /// An ONNX model loses what no runtime needs; its numbers stay as they are.
  private func stripONNX(_ file: inout Checkpoint, _ checkpoint: String, to destination: Destination?) throws {
    let original = file
    guard let result = try file.updateONNX({ $0.strip() }) else { return }
    report.note("an ONNX model's numbers stay as they are; mutils convert --dtype float16 narrows them")
    let verified = try verification.compare(original, with: file, report.talk)
    try verified?.judge(report)
    let before = try ModelSource.bytes(checkpoint).count
    let after = try destination.map { try output.writing.write(file, to: $0, report) }
    if report.json {
      try Results.print(
        json: ONNXStripResult(
          bytesBefore: before, bytesAfter: after, removed: result, verified: verified, output: destination?.name))
    } else {
      Results.print("\(result): \(Text.bytes(before))\(after.map { " -> \(Text.bytes($0))" } ?? "")")
      if let verified { Results.print("Verified: \(verified)") }
      Results.print(output.writing.told(destination?.name))
    }
  }

  func run() throws {
    try report.withThreads {
      guard checkpoints.count > 1 else { return try strip(checkpoints[0]) }
      try Series.forEach(checkpoints, of: self, report, strip)
    }
  }

  private func strip(_ checkpoint: String) throws {
    var file = try ModelSource.open(checkpoint, key: key)
    let original = file
    let destination = try output.destination(for: checkpoint, suffix: "stripped")
    if file.onnx != nil { return try stripONNX(&file, checkpoint, to: destination) }
    let isInOneFile = try file.format != .sharded && ModelSource.architecture(checkpoint) == nil
    let before =
      isInOneFile
      ? try ModelSource.bytes(checkpoint).count
      : file.preferred.stateDict().tensors.values.reduce(0) { $0 + $1.byteCount }
    let result = try file.strip(to: dtype.dtype, allowOverflow: allowOverflow)
    report.note(result.overflows, in: result.dtype)
    if let average = result.average, average != "ema" {
      report.note("'\(average.printable())' is the average that became '\(file.preferredKey.printable())'")
    }
    if !result.removed.isEmpty {
      report.note("left out what only training needs: \(Text.list(result.removed))")
    }
    let verified = try verification.compare(original, with: file, report.talk)
    try verified?.judge(report)
    let after =
      try destination.map { try output.writing.write(file, to: $0, report) }
      ?? file.preferred.stateDict().tensors.values.reduce(0) { $0 + $1.byteCount }
    let saved = destination.map { output.writing.place(of: $0) }
    if report.json {
      try Results.print(
        json: StripResult(
          bytesBefore: before, bytesAfter: after, usedAverage: result.usedAverage, average: result.average,
          removed: result.removed, verified: verified, output: saved))
    } else {
      Results.print("\(result): \(Text.bytes(before)) -> \(Text.bytes(after))")
      if let verified { Results.print("Verified: \(verified)") }
      Results.print(output.writing.told(saved))
    }
  }
}

private struct StripResult: Encodable {
  let bytesBefore: Int
  let bytesAfter: Int
  let usedAverage: Bool
  let average: String?
  let removed: [String]
  let verified: OutputComparison?
  let output: String?
}

private struct ONNXStripResult: Encodable {
  let bytesBefore: Int
  let bytesAfter: Int?
  let removed: ONNXStripReport
  let verified: OutputComparison?
  let output: String?
}
