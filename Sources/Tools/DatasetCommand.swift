import ArgumentParser
import ModelUtils
import SystemPackage

struct Dataset: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dataset",
    abstract: "Draws small detection sets, and checks sets of pictures.",
    discussion: """
      Examples:
        mutils dataset shapes drawn --train 256 --val 64 --size 96
        mutils dataset garments scattered --backgrounds photographs
        mutils dataset check drawn/data.yaml
      """,
    subcommands: [DatasetShapes.self, DatasetGarments.self, DatasetCheck.self])
}

struct DatasetShapes: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shapes",
    abstract: "Draws pictures of six shapes with their boxes, to train a detector on in minutes.",
    discussion: """
      Circles, squares, triangles, stars, crosses and rings of any colour and rotation on noise, 1 to 5 a picture, in YOLO's layout: PNG in \
      images, labels in labels, and data.yaml. The same options give the same pixels on every machine.

      Examples:
        mutils dataset shapes drawn
        mutils dataset shapes drawn --train 1000 --val 200 --size 160 --seed 1
      """)

  @OptionGroup var drawing: DrawingOptions
  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      try drawing.draw(DrawnSet(size: drawing.size, seed: drawing.seed), by: "dataset shapes", report)
    }
  }
}

struct DatasetGarments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "garments",
    abstract: "Scatters small real pictures, such as Fashion-MNIST's, over noise or photographs.",
    discussion: """
      The pictures to train with of a folder of MNIST's files, tinted, dark places transparent, 1 to 5 in a picture, in YOLO's layout. \
      Without --pictures those of Debian's package dataset-fashion-mnist. Without --names Fashion-MNIST's classes, which are \
      known by its labels, are called as its garments, those of other files by their numbers.

      Examples:
        mutils dataset garments scattered --train 400 --val 100 --size 160
        mutils dataset garments digits --pictures mnist --backgrounds photographs
      """)

  @OptionGroup var drawing: DrawingOptions

  @Option(
    help: ArgumentHelp("The folder of MNIST's files, with or without .gz.", valueName: "folder"),
    completion: .directory)
  var pictures: String?

  @Option(
    help: ArgumentHelp(
      "A folder of PNG and JPEG files of which parts become the grounds. Default: noise.", valueName: "folder"),
    completion: .directory)
  var backgrounds: String?

  @Option(help: ArgumentHelp("The names of the classes, with commas between them.", valueName: "names"))
  var names: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      var photographs: [FilePath] = []
      if let backgrounds {
        guard PictureFiles.isFolder(FilePath(backgrounds)) else {
          throw ModelError(.missing, "is no folder of photographs", file: backgrounds)
        }
        photographs = try PictureFiles.all([backgrounds]) { report.note($0) }
      }
      let set = try DrawnSet(.pictures(classes()), on: photographs, size: drawing.size, seed: drawing.seed)
      try drawing.draw(set, by: "dataset garments", report)
    }
  }

  private func classes() throws -> ClassificationSet {
    let folder = pictures ?? FashionMNIST.debianFolder
    if pictures == nil, !PictureFiles.isFolder(FilePath(folder)) {
      throw ModelError(
        .missing, "is not there", file: folder,
        advice: "install Debian's package dataset-fashion-mnist, or name a folder of MNIST's files with --pictures")
    }
    let set = try ClassificationSets(idx: folder).training
    guard let names else { return FashionMNIST.contains(set) ? try set.renamed(FashionMNIST.classNames) : set }
    let given = names.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
    guard given.count == set.classNames.count, Set(given).count == given.count, !given.contains("") else {
      throw ModelError(
        .mismatch, "has \(set.classNames.count) classes, and --names gives \(Set(given).subtracting([""]).count) names",
        file: folder)
    }
    return try set.renamed(given)
  }
}

extension Substring {
  fileprivate var trimmed: String {
    let start = drop { $0 == " " }
    return String(start.reversed().drop { $0 == " " }.reversed())
  }
}

/// What is drawn, and where to.
struct DrawingOptions: ParsableArguments {
  @Argument(help: "The set's folder, new or empty.", completion: .directory)
  var folder: String

  @Option(help: ArgumentHelp("Pictures to train with.", valueName: "n"))
  var train = 256

  @Option(help: ArgumentHelp("Pictures to judge by.", valueName: "n"))
  var val = 64

  @Option(help: ArgumentHelp("Their sides in pixels.", valueName: "pixels"))
  var size = 96

  @Option(help: ArgumentHelp("What everything is drawn by.", valueName: "n"))
  var seed: UInt64 = 7

  @Flag(help: "Write whole paths into data.yaml, for YOLOv5's and YOLOv6's own programs started elsewhere.")
  var absolute = false

  func validate() throws {
    for (name, count) in [("--train", train), ("--val", val)] where !DrawnSet.counts.contains(count) {
      throw ValidationError("\(name) takes a number from 1 to \(DrawnSet.counts.upperBound)")
    }
    guard DrawnSet.sizes.contains(size) else {
      throw ValidationError(
        "--size takes a number from \(DrawnSet.sizes.lowerBound) to \(DrawnSet.sizes.upperBound)")
    }
    guard !folder.isEmpty else { throw ValidationError("The set's folder has no name.") }
  }

  func draw(_ set: DrawnSet, by command: String, _ report: ReportOptions) throws {
    let progress = report.progress("pictures", of: train + val)
    let written = try Signals.endingGracefully { isAsked in
      try set.write(
        to: folder, training: train, validation: val, isAbsolute: absolute,
        comment: "mutils \(command) --train \(train) --val \(val) --size \(size) --seed \(seed)", shouldStop: isAsked
      ) { progress.reach($0, of: train + val) }
    }
    progress.finish()
    guard let written else {
      report.note("interrupted: nothing of the set is left")
      Terminal.printNotes()
      throw ExitCode(130)
    }
    if report.json {
      try Results.print(json: DrawnReport(written, set))
    } else {
      Results.print(
        "Drew \(train) + \(val) pictures of \(size)x\(size) with \(written.objectCount) objects of \(set.classNames.count) classes\nSaved \(written.description)"
      )
    }
  }
}

/// What `dataset shapes --json` and `dataset garments --json` print.
private struct DrawnReport: Encodable {
  struct Part: Encodable {
    let pictures: Int
    let objects: [Int]
  }

  let output: String
  let names: [String]
  let seed: UInt64
  let size: Int
  let train: Part
  let val: Part

  init(_ written: DrawnSet.Written, _ set: DrawnSet) {
    func part(_ part: DrawnSet.Part) -> Part {
      Part(pictures: written.pictures[part] ?? 0, objects: written.objectsByClass[part] ?? [])
    }
    output = written.description.string
    (names, seed, size, train, val) = (set.classNames, set.seed, set.size, part(.train), part(.val))
  }
}
