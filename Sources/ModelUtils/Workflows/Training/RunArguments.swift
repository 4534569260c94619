import ModelCore
import SystemPackage

/// What a run's `args.yaml` says of how it was begun.
public enum RunArguments {
  static let fileName = "args.yaml"

  /// Whether weights of a run stand in a folder.
  static func hasRun(_ folder: FilePath) -> Bool {
    ["last.pt", "best.pt"].contains { FileFolder.exists(folder.appending($0)) }
  }

  /// The number of threads that a run's file gets: what it was begun with, where it goes on.
  static func lastingThreadCount(_ folder: FilePath) -> Int {
    (hasRun(folder) ? threadCount(of: folder) : nil) ?? Parallel.threadCount
  }

  /// How many threads the run in a folder computed with, upon which the last bits of what it learns depend; nil where
  /// its folder does not say.
  public static func threadCount(of folder: some FileLocation) -> Int? {
    guard let path = try? folder.filePath.appending(fileName), let file = try? FileBytes(mapping: path),
      let count = (try? YAMLDocument(file.bytes))?.root.entries?["threads"]?.text.flatMap({ Int($0) })
    else { return nil }
    return (1...1024).contains(count) ? count : nil
  }
}
