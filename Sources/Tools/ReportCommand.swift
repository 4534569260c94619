import ArgumentParser
import ModelUtils
import SystemPackage

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "One HTML page about a model, or about two side by side.",
    discussion: """
      Its blocks with their output shapes, parameters and multiplications, histograms of its weights, zeros by layer, what fuse would do, \
      and of two models how their tensors differ. The page needs neither network nor script.

      Example: mutils report yolov5s.pt pruned.pt -o report.html
      """)

  @Argument(help: ModelSource.help, completion: Completion.models)
  var models: [String] = []

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @Option(
    name: .shortAndLong,
    help: "The page to write, .html. Default for one file: NAME-report.html beside it.", completion: .file())
  var output: String?

  @OptionGroup var flags: WritingFlags

  @Option(
    help: ArgumentHelp(
      "The size of the input in pixels, as 640 or 480x640. Default: what each model is meant for, else 640.",
      valueName: "size"))
  var imageSize: ImageSize?

  @OptionGroup var sizes: ShapeOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...2).contains(models.count) else { throw ValidationError("give one MODEL, or two to be compared") }
  }

  func run() throws {
    try report.withThreads {
      let destination = try self.destination()
      let studies = try models.map(study)
      let difference = studies.count == 2 ? try StateDictDiff(studies[0].state, studies[1].state) : nil
      if let difference, difference.compared == 0 {
        report.note("the models have no tensor of the same name: nothing is compared value by value")
      }
      let page = try ModelReport(studies, difference: difference)
      let bytes = try flags.dryRun ? page.html().utf8.count : page.write(to: destination)
      guard report.json else {
        return Results.print("\(flags.saved) \(destination.string.printable()): \(Text.bytes(bytes))")
      }
      try Results.print(
        json: ReportResult(
          output: destination.string, bytes: bytes, models: studies.map(ReportedModel.init), difference))
    }
  }

  /// Where the page goes, which must be free.
  private func destination() throws -> FilePath {
    let path: FilePath
    if let output {
      path = FilePath(output)
    } else if models.count == 1, models[0] != ModelSource.stream, try ModelSource.architecture(models[0]) == nil {
      let file = FilePath(models[0])
      var name = file.lastComponent?.string ?? "model"
      for ending in [".safetensors.index.json", ".bin.index.json", ".index.json"] where name.hasSuffix(ending) {
        name = String(name.dropLast(ending.count))
      }
      path = file.removingLastComponent().appending("\(FilePath(name).stem ?? name)-report.html")
    } else {
      throw ValidationError("give -o FILE: there is no one file beside which the page could stand")
    }
    guard ["html", "htm"].contains(path.extension?.lowercased()) else {
      throw ModelError(.invalid, "is no name of a page", file: path.string, advice: "use .html")
    }
    try WritingOptions.checkFree(path, force: flags.force)
    return path
  }

  private func study(_ name: String) throws -> ModelStudy {
    let arguments = ModelArguments(model: name, key: key)
    if let model = try arguments.onnx() {
      let inputs = try ONNXInputs(model, sizes, imageSize: imageSize, batchSize: 1)
      let checkpoint = try arguments.open(report, reading: .preferred)
      var study = try checkpoint.named { try ModelStudy(checkpoint, inputs: inputs) }
      study.details = study.onnx?.details ?? []
      report.talk.note(sizes: study.onnx?.sizedFor.map(\.shape) ?? [], imageSize: imageSize, batchSize: nil)
      return study
    }
    let checkpoint = try arguments.open(report, reading: .preferred)
    let size = imageSize ?? checkpoint.pictureSize.map { ImageSize($0) } ?? ImageSize(height: 640, width: 640)
    let shapes = sizes.shape.map(\.lengths)
    var study = try checkpoint.named {
      try ModelStudy(checkpoint, imageSize: (size.height, size.width), inputShapes: shapes)
    }
    guard let info = study.info else { return study }
    let channels = checkpoint.preferred.module?.inputChannels ?? 3
    let overview = ModelOverview(
      checkpoint, info, inputs: shapes.isEmpty ? [[1, channels, size.height, size.width]] : shapes)
    let isFile = try checkpoint.format != .sharded && arguments.architecture() == nil
    let bytes = isFile ? try ModelSource.bytes(name).count : nil
    let zeros = try checkpoint.named { try checkpoint.preferred.sparsity() }
    study.details = overview.lines(bytes: bytes, size: size, zeros: zeros).map(ModelReport.Entry.init(line:))
    if info.gflops != nil, imageSize == nil, shapes.isEmpty {
      report.note(
        "\(name.printable()): for a picture of \(size.height) x \(size.width); give --image-size for another")
    }
    if let reason = info.gflopsReason { report.note("\(name.printable()): no graph: \(reason.printable())") }
    if let architecture = info.architecture {
      report.note(
        "\(name.printable()): a bare state dict, recognised as \(architecture) by names and shapes, which do not tell strides and dilations"
      )
    }
    return study
  }
}

extension ModelReport.Entry {
  /// A line of the overview: a word, and what follows it.
  fileprivate init(line: String) {
    let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
    let rest = words.count > 1 ? words[1].drop { $0 == " " } : ""
    self.init(words.first.map(String.init) ?? "", String(rest))
  }
}

extension ONNXInfo {
  /// What is told of the file itself.
  fileprivate var details: [ModelReport.Entry] {
    var entries: [ModelReport.Entry] = [
      .init("format", "onnx, opset \(opset), version \(ir)" + (producer.isEmpty ? "" : ", by \(producer.printable())"))
    ]
    entries += inputs.map { .init("input", $0.description.printable()) }
    entries += outputs.map { .init("output", $0.description.printable()) }
    let activation = largestActivationBytes.map { ", the largest activation \(Text.bytes($0))" } ?? ""
    entries.append(.init("memory", "weights \(Text.bytes(weightBytes))\(activation)"))
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }).prefix(16) {
      entries.append(.init(key.printable(limit: 60), value.printable(limit: 120)))
    }
    return entries
  }
}

private struct ReportedModel: Encodable {
  let model: String
  let summary: String
  let parameters: Int
  let macs: Double?
  let sparsity: Double
  let fused: Int?
  let refused: Int?

  init(_ study: ModelStudy) {
    (model, summary, parameters, macs) = (study.name, study.summary, study.parameters, study.macs)
    sparsity = study.sparsity.sparsity
    (fused, refused) = (study.fusion?.fused.count, study.fusion?.refused.count)
  }
}

private struct ReportResult: Encodable {
  let output: String
  let bytes: Int
  let models: [ReportedModel]
  let compared: Int?
  let differing: Int?
  let maxAbs: Double?

  init(output: String, bytes: Int, models: [ReportedModel], _ difference: StateDictDiff?) {
    (self.output, self.bytes, self.models) = (output, bytes, models)
    (compared, differing) = (difference?.compared, difference?.differing.count)
    maxAbs = difference?.differing.compactMap(\.maxAbs).max()
  }
}
