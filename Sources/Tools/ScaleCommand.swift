import ArgumentParser
import ModelUtils
import Synchronization
import SystemPackage

struct Scale: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scale",
    abstract: "Scales pictures and pads them to a model's stride, as YOLOv5's scale_img does.",
    discussion: """
      Reads PNG and JPEG, writes either (an output's extension decides), or safetensors of float32 in [0, 1]. Many pictures, or a folder \
      of them, need -o: a folder, or with --batch one safetensors file in which pictures that come out equally large stand together. \
      Without a picture a small embedded one is used.

      Examples:
        mutils scale photo.jpg --ratio 0.83 -o photo-small.png
        mutils scale photo.jpg --letterbox 640 --json
        mutils scale photos/ --batch -o batch.safetensors
      """)

  @Argument(help: "Pictures, or folders of them.", completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var images: [String] = []

  @Option(help: "New size over old. Default: 0.83.")
  var ratio: Double?

  @Option(
    help: ArgumentHelp(
      "Fit pictures into this size as YOLO's letterbox does: in proportion, grey around. 640 or 480x640.",
      valueName: "size"))
  var letterbox: ImageSize?

  @Option(help: ArgumentHelp("The format of outputs whose name is not given: png or jpg. Default: the picture's own."))
  var format: OutputFormat?

  enum OutputFormat: String, Choice { case png, jpg }

  @Flag(help: "Pad or crop the result to the input's size instead of to the grid.")
  var sameShape = false

  @Option(
    help: ArgumentHelp("The model's stride: sides are padded to multiples of it. Default: 32.", valueName: "pixels"))
  var grid: Int?

  @Option(
    help: ArgumentHelp(
      "What is added around pictures, from 0 (black) to 1. Default: 0.447; of --letterbox YOLO's 114 / 255.",
      valueName: "grey"))
  var pad: Double?

  @Option(
    name: .shortAndLong, help: "The file or folder to write. Default: beside the input, with a suffix.",
    completion: .file())
  var output: String?

  @Flag(help: "Write one safetensors file: equal shapes stacked into one tensor.")
  var batch = false

  @Option(help: "Of JPEG, 1 to 100.")
  var quality = 90

  @OptionGroup var flags: WritingFlags

  private var dryRun: Bool { flags.dryRun }

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let ratio { guard ratio > 0, ratio.isFinite else { throw ValidationError("--ratio takes a positive number") } }
    guard (1...ScaledSize.sideLimit).contains(grid ?? 32) else {
      throw ValidationError("--grid takes a positive number of pixels")
    }
    guard letterbox == nil || (ratio == nil && grid == nil && !sameShape) else {
      throw ValidationError("--letterbox says the size: leave out --ratio, --grid and --same-shape")
    }
    if let pad, !(0...1).contains(pad) { throw ValidationError("--pad takes a number from 0 to 1") }
    guard (1...100).contains(quality) else { throw ValidationError("--quality takes a number from 1 to 100") }
    if let output, isMany, !batch, !output.hasSuffix("/"), !PictureFiles.isFolder(FilePath(output)),
      ImageFile.Format(of: FilePath(output)) != nil
    {
      throw ValidationError("several pictures are written into a folder: -o FOLDER/")
    }
    if batch && output == nil { throw ValidationError("--batch needs --output") }
  }

  func run() throws {
    try report.withThreads {
      let inputs = try PictureFiles.all(images, passOver: report.note)
      if images.isEmpty { report.note("no picture given: using the embedded sample") }
      let jobs = try ScaleInput.jobs(
        inputs, output: output, ending: format?.rawValue, isMany: isMany, batch: batch, force: flags.force,
        dryRun: dryRun)
      let results = try scaleAll(jobs)
      if batch, let output, !dryRun { try ScaleBatch.write(results, to: FilePath(output)) }
      try show(results.map(\.line))
    }
  }

  /// Whether the arguments stand for a list of pictures, be it of one.
  private var isMany: Bool { images.count > 1 || images.contains { PictureFiles.isFolder(FilePath($0)) } }

  /// How many pixels are decoded at once, all threads together; a picture of more is decoded alone.
  private static let pixelsAtOnce = 64_000_000

  /// In parallel over pictures where there are many that are small, within the picture otherwise. All are tried; of
  /// several errors the first picture's is thrown.
  private func scaleAll(_ jobs: [ScaleJob]) throws -> [ScaleResult] {
    let progress = report.progress("pictures", of: jobs.count)
    defer { progress.finish() }
    let limit = Self.pixelsAtOnce / Parallel.threadCount
    let isLarge = jobs.map { job in
      job.input.flatMap { try? ImageFile.size(of: $0) }.map { $0[0] * $0[1] > limit } ?? false
    }
    let small = jobs.count > 1 ? jobs.indices.filter { !isLarge[$0] } : []
    let results = Mutex<[Int: Result<ScaleResult, any Error>]>([:])
    Parallel.forEach(small.count) { place in
      let index = small[place]
      let result = Parallel.$threadCount.withValue(1) {
        WritingProgress.$observer.withValue(nil) { Result { try scale(jobs[index]) } }
      }
      results.withLock { $0[index] = result }
      progress.step()
    }
    let rest = jobs.indices.filter { index in results.withLock { $0[index] == nil } }
    for index in rest {
      let result = Result { try scale(jobs[index]) }
      results.withLock { $0[index] = result }
      progress.step()
    }
    return try results.withLock { $0 }.sorted { $0.key < $1.key }.map { try $0.value.get() }
  }

  private func scale(_ job: ScaleJob) throws -> ScaleResult {
    do {
      if let letterbox { return try fit(picture(job), into: letterbox, job) }
      let (ratio, grid) = (ratio ?? 0.83, grid ?? 32)
      // What is large is let go as soon as it has become something else.
      let (scaled, size, bitDepth) = try scaled(job, ratio, grid)
      if let path = job.output, !dryRun {
        if ImageFile.Format(of: path) == nil {
          try SafeTensors.write(StateDict(["image": scaled]), to: path)
        } else {
          try ImageFile(planes: scaled, bitDepth: bitDepth).write(to: path, quality: quality)
        }
      }
      return ScaleResult(line: ScaleLine(job, size), tensor: batch ? scaled : nil)
    } catch let error as ModelError {
      throw error.inFile(job.name)
    }
  }

  private func picture(_ job: ScaleJob) throws -> ImageFile {
    try job.input.map { try ImageFile(contentsOf: $0) } ?? .embeddedSample()
  }

  private func scaled(_ job: ScaleJob, _ ratio: Double, _ grid: Int) throws -> (Tensor, ScaledSize, bitDepth: Int) {
    let (whole, bitDepth) = try planes(job)
    let size = try ScaledSize(whole, ratio: ratio, sameShape: sameShape, gridSize: grid)
    let scaled = try scaleImage(
      whole, ratio: ratio, sameShape: sameShape, gridSize: grid, paddingValue: Float(pad ?? 0.447))
    return (scaled, size, bitDepth)
  }

  private func planes(_ job: ScaleJob) throws -> (Tensor, bitDepth: Int) {
    let image = try picture(job)
    let planes = try image.planes()
    return (try Tensor(planes.storage, dtype: .float32, shape: [1, 3, image.height, image.width]), image.bitDepth)
  }

  private func fit(_ image: ImageFile, into size: ImageSize, _ job: ScaleJob) throws -> ScaleResult {
    let fitted = try ModelUtils.letterbox(
      image.bytes(), to: [size.height, size.width], auto: false, color: UInt8(((pad ?? 114 / 255) * 255).rounded()))
    let picture = try ImageFile(pixels: fitted.image)
    var tensor: Tensor?
    if batch || job.output.map({ ImageFile.Format(of: $0) == nil }) ?? false {
      tensor = try Tensor(picture.planes().storage, dtype: .float32, shape: [1, 3, size.height, size.width])
    }
    if let path = job.output, !dryRun {
      if ImageFile.Format(of: path) == nil, let tensor {
        try SafeTensors.write(StateDict(["image": tensor]), to: path)
      } else {
        try picture.write(to: path, quality: quality)
      }
    }
    return ScaleResult(line: ScaleLine(job, fitted), tensor: batch ? tensor : nil)
  }

  private func show(_ lines: [ScaleLine]) throws {
    if report.json { return try Results.print(json: ScaleReport(lines: lines, isMany: isMany)) }
    for line in lines { Results.print(line.description) }
    let saved = flags.saved
    if batch, let output { Results.print("\(saved) \(output)") }
    if let path = lines.first?.file, !batch { Results.print("\(saved) \(isMany ? output ?? path : path)") }
  }
}

/// All pictures; of one alone also what is told of it.
private struct ScaleReport: Encodable {
  let lines: [ScaleLine]
  let isMany: Bool

  private enum Key: String, CodingKey { case images }

  func encode(to encoder: any Encoder) throws {
    if !isMany { try lines.first?.encode(to: encoder) }
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(lines, forKey: .images)
  }
}

struct ScaleResult: Sendable {
  let line: ScaleLine
  /// For --batch.
  let tensor: Tensor?
}

/// What is told of a picture.
struct ScaleLine: Encodable, Sendable, CustomStringConvertible {
  let name: String
  /// [height, width], as are the others.
  let input: [Int]
  let resampled: [Int]
  let output: [Int]
  /// What was added at the bottom and on the right; negative where it was cropped.
  let padding: [Int]
  /// Where it was written.
  let file: String?
  /// New size over old, [vertical, horizontal], and the grey above and on the left, of a letterboxed picture: a point of
  /// the original is at `point * scale + offset`, [y, x].
  private(set) var scale: [Double]?
  private(set) var offset: [Double]?

  init(_ job: ScaleJob, _ fitted: Letterbox) {
    name = job.name
    let size = Array(fitted.image.shape.prefix(2))
    (input, output) = (fitted.originalSize, size)
    offset = [fitted.padding.height, fitted.padding.width].map { max(0, ($0 - 0.1).rounded(.toNearestOrEven)) }
    scale = [fitted.ratio.height, fitted.ratio.width]
    padding = [Int(2 * fitted.padding.height), Int(2 * fitted.padding.width)]
    resampled = [size[0] - padding[0], size[1] - padding[1]]
    file = job.output?.string
  }

  init(_ job: ScaleJob, _ size: ScaledSize) {
    name = job.name
    (input, resampled, output, padding) = (size.input, size.resampled, size.output, size.padding)
    file = job.output?.string
  }

  /// `photo.jpg 480x640 -> 398x531, padded to 416x544`.
  var description: String {
    func text(_ size: [Int]) -> String { "\(size[0])x\(size[1])" }
    var line = "\(name.printable()) \(text(input)) -> \(text(resampled))"
    if padding != [0, 0] { line += ", \(padding.contains { $0 < 0 } ? "cropped" : "padded") to \(text(output))" }
    return line
  }
}
