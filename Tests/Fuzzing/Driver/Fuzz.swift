import FuzzTargets
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// libFuzzer's main loop around a target, in a build with `--traits Fuzzing`:
//
//     FUZZ_TARGET=onnx FUZZ_FOLDER=an/empty/folder fuzz LIBFUZZER'S ARGUMENTS
//
// In any other build it takes the files that are named, each once.

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

let target: FuzzTarget = {
  guard let target = environment("FUZZ_TARGET").flatMap({ FuzzTarget(rawValue: $0) }) else {
    print("FUZZ_TARGET is one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
    exit(2)
  }
  return target
}()

let folder = FilePath(environment("FUZZ_FOLDER") ?? "/tmp")
