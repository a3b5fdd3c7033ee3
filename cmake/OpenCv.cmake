# likeness_link_opencv(TARGET): links OpenCV's SIFT to a test or a benchmark, for which it is the twin and the peer, and
# defines LIKENESS_OPENCV=1; nothing where it is not installed. Debian's config for CMake is in a package that pulls in
# all of OpenCV, so the three libraries are looked for by name.
find_path(OPENCV_INCLUDE opencv2/features2d.hpp PATH_SUFFIXES opencv4)
find_library(OPENCV_FEATURES2D opencv_features2d)
find_library(OPENCV_IMGPROC opencv_imgproc)
find_library(OPENCV_CORE opencv_core)

function(likeness_link_opencv target)
  if(OPENCV_INCLUDE AND OPENCV_FEATURES2D AND OPENCV_IMGPROC AND OPENCV_CORE)
    target_include_directories(${target} SYSTEM PRIVATE ${OPENCV_INCLUDE})
    target_link_libraries(${target} PRIVATE ${OPENCV_FEATURES2D} ${OPENCV_IMGPROC} ${OPENCV_CORE})
    target_compile_definitions(${target} PRIVATE LIKENESS_OPENCV=1)
  endif()
endfunction()
