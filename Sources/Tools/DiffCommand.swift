import ArgumentParser
import ModelUtils
import SystemPackage

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compares two files: names, shapes, element types, values.",
    discussion: """
      Any two formats can be compared, and a YOLOv5-style .yaml or the name of a built-in architecture stands for a model initialised with \
      seed 0. Exit status 0: equal; 1: they differ. All models that both files hold are compared, and what stands \
      beside them, such as an optimizer's tensors; with --key one model alone. What only one of the formats can hold is noted.

      Without --tolerance values must be equal (zeros of either sign are, NaNs too) and element types the same. With it a difference of at \
      most that much counts as equal, also between element types.

      Example: mutils diff model.pt model.safetensors --tolerance 1e-3
      """)

  @Argument(help: "The first file.", completion: .file())
  var first: String

  @Argument(help: "The second file.", completion: .file())
  var second: String

  @Option(help: ArgumentHelp("The greatest absolute difference that counts as equal.", valueName: "t"))
  var tolerance: Double?

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @OptionGroup var report: ReportOptions

  @Flag(
    help: ArgumentHelp(
      "Compare what the two models compute from the same input instead of their tensors.",
      discussion: "--tolerance is then in units of each output's largest value; 1e-4 without it."))
  var outputs = false

  @OptionGroup(title: "Input of --outputs") var input: InputOptions

  func validate() throws {
    guard outputs || !input.isGiven else {
      throw ValidationError("--input, --image-size, --shape and --value go with --outputs")
    }
    if let tolerance, !(tolerance >= 0) { throw ValidationError("--tolerance takes a number from 0") }
  }

  func run() throws {
    if outputs { return try compareOutputs() }
    var graphs: ONNXDiff?
    let diff = try report.withThreads {
      if key != nil {
        return try StateDictDiff(
          try open(first).preferred.stateDict(), try open(second).preferred.stateDict(), tolerance: tolerance)
      }
      let (a, b) = (try ModelSource.open(first), try ModelSource.open(second))
      if let one = a.onnx, let other = b.onnx { graphs = ONNXDiff(one, other) }
      return try StateDictDiff(a, b, tolerance: tolerance)
    }
    let equal = diff.equal && graphs?.equal ?? true
    for text in diff.besideTensors { report.note("beside the tensors: \(text.printable())") }
    for text in diff.notCompared { report.note("not compared: \(text.printable())") }
    if report.json {
      try Results.print(json: DiffResult(equal: equal, diff: diff, graph: graphs?.entries))
    } else {
      show(diff)
      for entry in graphs?.entries ?? [] {
        Results.print(
          "  graph: \(entry.name.printable()): \((entry.first ?? "missing").printable()) -> \((entry.second ?? "missing").printable())"
        )
      }
    }
    if !equal {
      Terminal.printNotes()
      throw ExitCode(1)
    }
  }

  private func compareOutputs() throws {
    let comparison = try report.withThreads {
      let (a, b) = (try open(first), try open(second))
      let tolerance = tolerance ?? 1e-4
      switch (a.onnx, b.onnx) {
      case (let before?, let after?):
        return try before.compareOutputs(with: after, inputs: input.tensors(for: before), tolerance: tolerance)
      case (nil, let after?):
        let before = try a.computableModule(report.talk)
        return try before.compareOutputs(with: after, inputs: input.tensors(for: before), tolerance: tolerance)
      case (let before?, nil):
        let after = try b.computableModule(report.talk)
        return try after.compareOutputs(with: before, inputs: input.tensors(for: after), tolerance: tolerance)
      case (nil, nil): break
      }
      let (before, after) = (try a.computableModule(report.talk), try b.computableModule(report.talk))
      return try before.compareOutputs(
        with: after, inputs: input.tensors(for: before), tolerance: tolerance)
    }
    if report.json {
      try Results.print(json: OutputsDiff(equal: comparison.holds, comparison: comparison))
    } else {
      Results.print("Outputs are \(comparison)")
      for output in comparison.outputs {
        let figures = CFormat.string("at most %.3g apart, relative %.3g", output.maxAbs, output.maxRelative)
        Results.print("  \(output.name) \(output.shape): \(figures)")
      }
    }
    if !comparison.holds {
      Terminal.printNotes()
      throw ExitCode(1)
    }
  }

  private func open(_ path: String) throws -> Checkpoint {
    let checkpoint = try ModelSource.open(path)
    guard let key, try ModelSource.architecture(path) == nil, [.torch, .torchLegacy].contains(checkpoint.format) else {
      return checkpoint
    }
    return try ModelSource.file(path, key: key)
  }

  private func show(_ diff: StateDictDiff) {
    Results.print(diff.description)
    for name in diff.onlyInFirst { Results.print("  only in the first: \(name.printable())") }
    for name in diff.onlyInSecond { Results.print("  only in the second: \(name.printable())") }
    for entry in diff.differing { Results.print("  \(entry.name.printable()): \(entry.text)") }
  }
}

private struct DiffResult: Encodable {
  let equal: Bool
  let diff: StateDictDiff
  /// How the graphs of two ONNX models differ.
  let graph: [ONNXDiff.Entry]?

  private enum Key: String, CodingKey { case equal, graph }

  func encode(to encoder: any Encoder) throws {
    try diff.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(equal, forKey: .equal)
    try container.encodeIfPresent(graph, forKey: .graph)
  }
}

private struct OutputsDiff: Encodable {
  let equal: Bool
  let comparison: OutputComparison

  private enum Key: String, CodingKey { case equal }

  func encode(to encoder: any Encoder) throws {
    try comparison.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(equal, forKey: .equal)
  }
}

extension StateDictDiff.Entry {
  /// What differs, in words.
  fileprivate var text: String {
    if firstShape != secondShape { return "shape \(firstShape) against \(secondShape)" }
    var parts: [String] = []
    if firstDType != secondDType { parts.append("\(firstDType.rawValue) against \(secondDType.rawValue)") }
    if let elements, elements > 0 { parts.append("\(elements) elements differ") }
    if let maxAbs, let maxRelative {
      parts.append("at most \(Text.threeDigits(maxAbs)), relative \(Text.threeDigits(maxRelative))")
    }
    if let cosine { parts.append(CFormat.string("cosine %.9g", cosine)) }
    if let nonFinite, nonFinite > 0 { parts.append("\(nonFinite) of them not finite on one side") }
    return parts.joined(separator: ", ")
  }
}
