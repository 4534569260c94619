import ArgumentParser
import FoundationEssentials
import ModelUtils
import SystemPackage

struct Detect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detect",
    abstract: "Finds things in pictures with a YOLO or RT-DETR.",
    discussion: """
      By the rules of the program that the model is from: YOLOv5, YOLOv6, YOLOv7, YOLOv9's repository, or Ultralytics (boxes, masks, poses, \
      turned boxes). A picture is scaled to fit into the size; boxes are in the picture's own pixels.

      With -o the pictures are written with boxes and labels. A picture that cannot be read is told on standard error; the others are \
      done, and the exit status is 1.

      Examples:
        mutils detect yolov5s.pt bus.jpg -o found
        mutils detect shapes/images/val -o found
        mutils detect yolo11n.pt photos/ -o found --txt --coco found.json --quiet
      """)

  @Argument(
    help: ArgumentHelp(
      "The model's file (a whole module, or a state dict of a built-in YOLOv5), then pictures, or folders of them. Without a model the built-in one looks for the shapes that 'dataset shapes' draws.",
      valueName: "model> <images"), completion: .file())
  var arguments: [String]

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @Option(
    help: ArgumentHelp(
      "The size that pictures are scaled to fit into, as 640 or 480x640. Default: what it was trained with here, or 640.",
      valueName: "size"))
  var imageSize: ImageSize?

  @Option(help: ArgumentHelp("The least score.", valueName: "score"))
  var confidence = 0.25

  @Option(help: ArgumentHelp("How much boxes of a class may overlap: intersection over union.", valueName: "iou"))
  var iou = 0.45

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Only these classes, by number or by name.", valueName: "class"))
  var classes: [String] = []

  @Option(
    help: ArgumentHelp("The most that is found in a picture. Default: as its original, 1000 or 300.", valueName: "n"))
  var maxDetections: Int?

  @Flag(help: "Look at three views of each picture, as YOLOv5's test-time augmentation does.")
  var augment = false

  @Option(name: .shortAndLong, help: "The folder to write pictures with boxes to.", completion: .directory)
  var output: String?

  @Flag(help: "Write YOLO's label files to the folder labels of the output.")
  var txt = false

  @Option(help: ArgumentHelp("Write what was found as COCO's results.", valueName: "file"), completion: .file())
  var coco: String?

  @Option(help: ArgumentHelp("Write what was found as a table.", valueName: "file"), completion: .file())
  var csv: String?

  @OptionGroup var flags: WritingFlags

  @OptionGroup var report: ReportOptions

  /// nil for the built-in one: where pictures come first.
  private var model: String? {
    arguments.first.flatMap { first in
      let path = FilePath(first)
      return ImageFile.Format(of: path) != nil || PictureFiles.isFolder(path) ? nil : first
    }
  }

  private var images: [String] { model == nil ? arguments : Array(arguments.dropFirst()) }

  func validate() throws {
    guard !images.isEmpty else { throw ValidationError("no picture is given") }
    guard model != nil || key == nil else { throw ValidationError("--key goes with a model's file") }
    guard (0...1).contains(confidence) else { throw ValidationError("--confidence takes a number from 0 to 1") }
    guard (0...1).contains(iou) else { throw ValidationError("--iou takes a number from 0 to 1") }
    if let maxDetections, !(1...100_000).contains(maxDetections) {
      throw ValidationError("--max-detections takes a number from 1 to 100000")
    }
    if let coco, let csv, FilePath(coco).lexicallyNormalized() == FilePath(csv).lexicallyNormalized() {
      throw ValidationError("--coco and --csv name the same file")
    }
    if txt && output == nil { throw ValidationError("--txt needs --output") }
  }

  func run() throws {
    try report.withThreads {
      let files = try PictureFiles.all(images, passOver: report.note)
      let jobs = try DetectJob.all(files, output: output, txt: txt, flags)
      for path in [coco, csv].compactMap({ $0 }) { try PictureFiles.check(FilePath(path), force: flags.force) }
      let checkpoint = try model.map { try ModelSource.open($0, key: key, reading: .preferred) } ?? .embeddedDetector()
      let detector = try checkpoint.named {
        try checkpoint.onnx.map { try Detector($0) } ?? Detector(checkpoint.computableModule(report.talk))
      }
      let trained = checkpoint.trainedSize.map { [$0.height, $0.width] }
      let options = try checkpoint.named { try self.options(for: detector, trained: trained) }
      let (pictures, hasFailures) = try detect(jobs, detector, options).all(by: checkpoint)
      if !flags.dryRun { try writeRecords(pictures) }
      if report.json, !pictures.isEmpty { try Results.print(json: ["images": pictures]) }
      if !report.json, let output, !pictures.isEmpty { Results.print("\(flags.saved) \(output)") }
      if hasFailures {
        Terminal.printNotes()
        throw ExitCode(1)
      }
    }
  }

  /// - Parameter trained: the [height, width] that it was trained with, where that is known.
  private func options(for detector: Detector, trained: [Int]?) throws -> Detector.Options {
    let numbers = try classes.map { text -> Int in
      if let number = Int(text) { return number }
      guard let named = (0..<detector.classCount).first(where: { detector.classNames[$0] == text }) else {
        throw ModelError(.missing, "the model has no class of this name", subject: text)
      }
      return named
    }
    let options = Detector.Options(
      imageSize: imageSize.map { [$0.height, $0.width] } ?? detector.inputSize ?? trained ?? [640, 640],
      confidence: confidence,
      overlap: iou,
      classes: numbers.isEmpty ? nil : Set(numbers), limit: maxDetections, augments: augment)
    try detector.check(options)
    let size = detector.inputSize(for: options.imageSize)
    if imageSize != nil, size != options.imageSize {
      report.note("pictures come as \(size[0])x\(size[1]), the next multiples of the model's stride")
    }
    return options
  }

  /// Reads, computes and writes at once.
  private func detect(
    _ jobs: [DetectJob], _ detector: Detector, _ options: Detector.Options
  ) -> PictureResults<DetectedPicture> {
    let results = PictureResults<DetectedPicture>(of: jobs.count, report)
    pipelined(
      jobs,
      read: { job in
        let picture = try job.named { try ImageFile(contentsOf: job.input) }
        return (picture, try job.named { try detector.prepare(picture, options) })
      },
      work: { job, read in
        let clock = ContinuousClock()
        let start = clock.now
        let found = try results.compute { try detector.detect(in: read.1, options) }
        return DetectedPicture(
          file: job.input.string, size: [read.0.height, read.0.width], detections: found,
          inputSize: Array(read.1.tensor.shape.suffix(2)), duration: clock.now - start, picture: read.0)
      },
      write: { job, detected in try job.named { try job.write(detected) } },
      finished: { index, result in results.finish(index, result.map(\.withoutPicture), line: \.line) })
    return results
  }

  private func writeRecords(_ pictures: [DetectedPicture]) throws {
    if let coco {
      let results = pictures.flatMap { picture -> [COCOResult] in
        let name = FilePath(picture.file).lastComponent
        return picture.detections.map { COCOResult($0, stem: name?.stem ?? "", file: name?.string ?? "") }
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      do {
        try AtomicFile.write(String(decoding: encoder.encode(results), as: UTF8.self) + "\n", to: FilePath(coco))
      } catch is EncodingError {
        throw ModelError(.system, "what was found cannot be written as JSON", file: coco)
      }
    }
    if let csv {
      let rows = pictures.flatMap { picture in picture.detections.map { $0.tableRow(file: picture.file) } }
      try AtomicFile.write(([Detection.tableHeading] + rows).joined(separator: "\n") + "\n", to: FilePath(csv))
    }
  }
}

/// A picture to look at, and where what is found goes.
private struct DetectJob: Sendable {
  let input: FilePath
  let output: FilePath?
  let labels: FilePath?

  static func all(_ inputs: [FilePath], output: String?, txt: Bool, _ flags: WritingFlags) throws -> [DetectJob] {
    guard let output, !flags.dryRun else { return inputs.map { DetectJob(input: $0, output: nil, labels: nil) } }
    let folder = FilePath(output)
    let pictures = try PictureFiles.outputs(of: inputs, in: folder, force: flags.force)
    let labels =
      txt ? try PictureFiles.outputs(of: inputs, in: folder.appending("labels"), ending: "txt", force: flags.force) : []
    return inputs.indices.map {
      DetectJob(input: inputs[$0], output: pictures[$0], labels: txt ? labels[$0] : nil)
    }
  }

  /// An error of `body` names the picture.
  func named<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as ModelError { throw error.inFile(input.string) }
  }

  func write(_ detected: DetectedPicture) throws {
    if let output, let picture = detected.picture { try drawn(detected.detections, on: picture).write(to: output) }
    if let labels {
      let lines = detected.detections.map { $0.labelLine(size: detected.size) + "\n" }
      try AtomicFile.write(lines.joined(), to: labels)
    }
  }
}

/// What is told of a picture.
private struct DetectedPicture: Encodable, Sendable {
  let file: String
  /// [height, width].
  let size: [Int]
  let detections: [Detection]
  let inputSize: [Int]
  let duration: Duration
  /// Until it is written.
  var picture: ImageFile?

  private enum CodingKeys: String, CodingKey { case file, size, detections }

  var withoutPicture: DetectedPicture {
    var copy = self
    copy.picture = nil
    return copy
  }

  /// `bus.jpg: 640x480 4 persons, 1 bus, 52.1ms`.
  var line: String {
    let counts = Dictionary(grouping: detections, by: \.classIndex).sorted { $0.key < $1.key }.map { _, found in
      "\(found.count) \((found.first?.className ?? "").printable())\(found.count > 1 ? "s" : "")"
    }
    let what = counts.isEmpty ? "(no detections)" : counts.joined(separator: ", ")
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    return "\(file.printable()): \(inputSize[0])x\(inputSize[1]) \(what), \(CFormat.string("%.1fms", seconds * 1000))"
  }
}
