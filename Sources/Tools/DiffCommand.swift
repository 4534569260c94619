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

  @Option(
    help: ArgumentHelp("Which object in a PyTorch file is the model, such as 'ema' or 'a.b'.", valueName: "key"))
  var key: String?

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let tolerance, !(tolerance >= 0) { throw ValidationError("--tolerance takes a number from 0") }
  }

  func run() throws {
    let diff = try report.withThreads {
      if key != nil { return try StateDictDiff(try read(first), try read(second), tolerance: tolerance) }
      return try StateDictDiff(
        ModelSource.open(first), ModelSource.open(second), tolerance: tolerance)
    }
    for text in diff.notCompared { report.note("not compared: \(text.printable())") }
    if report.json {
      try Terminal.print(json: diff)
    } else {
      show(diff)
    }
    if !diff.equal {
      Terminal.printNotes()
      throw ExitCode(1)
    }
  }

  private func read(_ path: String) throws -> StateDict {
    let checkpoint = try ModelSource.open(path)
    guard let key, try ModelSource.architecture(path) == nil, [.torch, .torchLegacy].contains(checkpoint.format) else {
      return checkpoint.preferred.stateDict()
    }
    return try Checkpoint(contentsOf: FilePath(path), key: key).preferred.stateDict()
  }

  private func show(_ diff: StateDictDiff) {
    Terminal.print(diff.description)
    for name in diff.onlyInFirst { Terminal.print("  only in the first: \(name.printable())") }
    for name in diff.onlyInSecond { Terminal.print("  only in the second: \(name.printable())") }
    for entry in diff.differing { Terminal.print("  \(entry.name.printable()): \(entry.text)") }
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
